import { AppError } from '../world/errors.ts';
import type { Counts, JobName, JobRun, JobRunStore } from './upkeep-stores.ts';

/** The result of a job: its counts, and the first failure of steps that did not stop the others. */
export interface JobOutcome {
  counts: Counts;
  failure?: unknown;
}

export interface JobRunsOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  createId: () => string;
}

/** Keeps a row of counts for each run of a job. */
export class JobRuns {
  readonly #store: JobRunStore;
  readonly #options: JobRunsOptions;

  constructor(store: JobRunStore, options: JobRunsOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Runs a job between a row without an end and its end. A failed job keeps its failure, and this throws it. */
  async run<Outcome extends JobOutcome>(job: JobName, work: () => Promise<Outcome>): Promise<Outcome> {
    const id = this.#options.createId();
    await this.#store.startRun(id, job, this.#now());
    let outcome: Outcome;
    try {
      outcome = await work();
    } catch (error) {
      // The failure of the job says more than the failure to store it.
      await this.#store.endRun(id, nameFailure(error), {}, this.#now()).catch(() => undefined);
      throw error;
    }
    const failure = outcome.failure === undefined ? null : nameFailure(outcome.failure);
    await this.#store.endRun(id, failure, outcome.counts, this.#now());
    return outcome;
  }

  /** The same for a job that is started each minute: a run that found nothing to do leaves no row. */
  async runOften<Outcome extends JobOutcome>(
    job: JobName,
    work: () => Promise<Outcome>,
    onFailure: (cause: unknown) => void,
  ): Promise<Outcome> {
    const startedAt = this.#now();
    const note = async (failure: string | null, counts: Counts) => {
      const id = this.#options.createId();
      await this.#store.startRun(id, job, startedAt);
      await this.#store.endRun(id, failure, counts, this.#now());
    };
    let outcome: Outcome;
    try {
      outcome = await work();
    } catch (error) {
      await note(nameFailure(error), {}).catch(onFailure);
      throw error;
    }
    if (Object.values(outcome.counts).some((count) => count > 0))
      await note(null, outcome.counts).catch(onFailure);
    return outcome;
  }

  /** The newest runs of each job, the newest first. */
  list(limit: number): Promise<JobRun[]> {
    return this.#store.listRuns(limit);
  }

  #now(): Date {
    return new Date(this.#options.now());
  }
}

function nameFailure(error: unknown): string {
  return error instanceof AppError ? error.code : 'internal';
}
