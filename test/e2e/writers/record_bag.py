"""Records a bag with ROS's own library, which runs on Debian's Python: record_bag.py FILE"""

import sys

import genpy
import rosbag
from std_msgs.msg import String

with rosbag.Bag(sys.argv[1], "w", chunk_threshold=64 * 1024) as bag:
    for number in range(3000):
        text = String(data=f"note {number} " + "x" * 500)
        bag.write("/operator/notes", text, genpy.Time(1_749_922_200 + number, 0))
