import { find } from '../dom.ts';
import type { Context, Section } from './context.ts';
import { isolate, make, makeJson, makeRow, makeTable, makeTime } from './elements.ts';
import { describeMissing } from './pages.ts';

interface Run {
  startedAt: string;
  endedAt: string | null;
  status: 'ok' | 'failed' | 'running';
  /** Only for the operator's tenant. */
  counts?: Record<string, unknown> | null;
  failure?: string | null;
}

interface Job {
  job: string;
  schedule: string | null;
  lastRun: Run | null;
  nextRunAt: string | null;
  runs: Run[];
}

const COLUMNS = ['Job', 'Schedule', 'Last run', 'Result', 'Took', 'Next run', 'Newest runs'];

/** The jobs of the deployment, with their last and next runs. */
export function showJobs({ server }: Context): Section {
  const list = find('job-list');
  return {
    async show() {
      try {
        const { jobs } = await server.call<{ jobs: Job[] }>('GET', '/v1/job-runs');
        const { box, body } = makeTable('Jobs', COLUMNS);
        body.append(...jobs.map(makeJobRow));
        list.replaceChildren(box);
      } catch (error) {
        const problem = make('p', { className: 'problem' }, describeMissing('Jobs', error));
        problem.role = 'alert';
        list.replaceChildren(problem);
      }
    },
  };
}

function makeJobRow({ job, schedule, lastRun, nextRunAt, runs }: Job): HTMLTableRowElement {
  return makeRow(
    isolate(job),
    make('code', {}, schedule ?? '–'),
    makeTime(lastRun?.startedAt ?? null, 'never'),
    lastRun === null ? '–' : describeResult(lastRun),
    lastRun === null ? '–' : describeTime(lastRun),
    makeTime(nextRunAt),
    runs.length === 0 ? '–' : makeRuns(runs),
  );
}

function makeRuns(runs: readonly Run[]): HTMLElement {
  const items = runs.map((run) =>
    make(
      'li',
      {},
      makeTime(run.startedAt),
      ' ',
      describeResult(run),
      ` ${describeTime(run)} `,
      run.counts == null ? null : makeJson(run.counts),
      run.failure == null ? null : isolate(` ${run.failure}`, 'problem'),
    ),
  );
  return make('details', {}, make('summary', {}, `${runs.length} runs`), make('ul', {}, ...items));
}

function describeResult({ status }: Run): HTMLElement {
  return make('span', { className: status === 'failed' ? 'problem' : '' }, status);
}

function describeTime({ startedAt, endedAt }: Run): string {
  return endedAt === null
    ? 'still running'
    : `${(Date.parse(endedAt) - Date.parse(startedAt)).toLocaleString()} ms`;
}
