import { serveJobs } from '../workspace/jobs/serve-jobs.js';
import { JOBS } from './jobs.js';

/** What a job's thread of the daemon runs. */
serveJobs(JOBS);
