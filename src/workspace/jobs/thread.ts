import { JOBS } from './registry.js';
import { serveJobs } from './serve-jobs.js';

/** What a job's thread runs. */
serveJobs(JOBS);
