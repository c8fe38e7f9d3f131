# What command lines write: sh shell.sh WHAT FOLDER SCRATCH. Prints what must be the same everywhere.
set -eu
what=$1
folder=$2
scratch=$3
run=raw/2025-06-14/run-8421
cd "$folder"

case $what in
git)
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
  export GIT_AUTHOR_NAME=Dana GIT_AUTHOR_EMAIL=dana@example.com GIT_AUTHOR_DATE='2025-06-14T12:00:00Z'
  export GIT_COMMITTER_NAME=Dana GIT_COMMITTER_EMAIL=dana@example.com GIT_COMMITTER_DATE='2025-06-14T12:00:00Z'
  mkdir code
  cd code
  git init --quiet -b main .
  for number in 1 2 3 4 5; do
    mkdir -p "pipeline/$number"
    seq "$number" 500 > "pipeline/$number/steps.txt"
    git add .
    git commit --quiet -m "step $number"
  done
  git checkout --quiet -b fix HEAD~2
  echo fixed > pipeline/1/steps.txt
  git commit --quiet -am fix
  git checkout --quiet main
  git merge --quiet -m merge fix
  git gc --quiet --prune=now
  git fsck --full --strict
  git status --porcelain
  git log --format='%H %s'
  ;;
ffmpeg)
  ffmpeg -v error -i "$run/front.mp4" -c:v mpeg4 -q:v 3 -fflags +bitexact -flags:v +bitexact -movflags +faststart -y out.mp4
  ffmpeg -v error -i out.mp4 -f framemd5 - | md5sum
  head -c 64 out.mp4 | grep -c ftyp
  ;;
rsync)
  cp -a frames "$scratch/frames"
  for number in 000001 000002; do echo 'one more line' >> "$scratch/frames/$number.txt"; done
  rm "$scratch/frames/000003.txt"
  rsync -a --inplace --delete "$scratch/frames/" frames/
  cp "$run/lidar.mcap" "$scratch/lidar.mcap"
  printf patched | dd of="$scratch/lidar.mcap" bs=1 seek=2000000 conv=notrunc status=none
  rsync -a --inplace --no-whole-file "$scratch/lidar.mcap" "$run/lidar.mcap"
  rsync -anic --delete "$scratch/frames/" frames/
  cmp "$scratch/lidar.mcap" "$run/lidar.mcap"
  rm -r "$scratch/frames" "$scratch/lidar.mcap"
  ;;
copies)
  cp -a raw copied
  cp -a --reflink=auto --sparse=always "$run/lidar.mcap" sparse.mcap
  cp -al frames linked
  diff -r raw copied
  diff -r --no-dereference frames linked
  cmp "$run/lidar.mcap" sparse.mcap
  mv linked moved
  mv copied moved/inner
  find moved -type f -links +1 | wc -l
  ;;
archives)
  tar cf "$scratch/all.tar" frames raw plant
  mkdir untarred unzipped
  tar x -C untarred -f "$scratch/all.tar"
  tar d -C untarred -f "$scratch/all.tar"
  (cd untarred && zip -q -r --symlinks "$scratch/all.zip" .)
  unzip -q -d unzipped "$scratch/all.zip"
  diff -r --no-dereference untarred unzipped
  tar c --sort=name --mtime=@0 -f untarred/inside.tar -C unzipped frames
  tar r --sort=name --mtime=@0 -f untarred/inside.tar -C unzipped plant
  tar tf untarred/inside.tar | sort | md5sum
  rm "$scratch/all.tar" "$scratch/all.zip"
  ;;
points)
  # PCL maps the file that it writes.
  pcl_voxel_grid "$run/cloud.pcd" small.pcd -leaf 1,1,1 > "$scratch/log"
  pcl_convert_pcd_ascii_binary small.pcd ascii.pcd 0 > "$scratch/log"
  pcl_convert_pcd_ascii_binary ascii.pcd "$run/cloud.pcd" 2 > "$scratch/log"
  pcl_pcd2ply "$run/cloud.pcd" cloud.ply > "$scratch/log"
  grep -c '^VERSION' ascii.pcd
  ;;
*)
  echo "there is no $what" >&2
  exit 2
  ;;
esac
