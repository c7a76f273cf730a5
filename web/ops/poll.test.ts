import { expect, it } from 'vitest';
import { poll } from './poll.ts';

/** A page whose clock and visibility the test moves. */
function makePage() {
  const timers: { task: () => void; ms: number }[] = [];
  let isVisible = true;
  let onVisibility = () => {};
  const ending = new AbortController();
  const heard: string[] = [];
  const answers: (() => Promise<string>)[] = [];
  return {
    timers,
    heard,
    answers,
    end: () => ending.abort(),
    setVisible(visible: boolean) {
      isVisible = visible;
      onVisibility();
    },
    async tick() {
      timers.shift()?.task();
      await settle();
    },
    start() {
      poll<string>({
        read: () => answers.shift()?.() ?? Promise.resolve('answer'),
        onAnswer: (answer) => heard.push(answer),
        onFailure: (error, retryMs) => heard.push(`${(error as Error).message} ${retryMs}`),
        everyMs: 2_000,
        backOffMsMax: 30_000,
        isVisible: () => isVisible,
        onVisibility: (listener) => {
          onVisibility = listener;
        },
        startTimer(task, ms) {
          const timer = { task, ms };
          timers.push(timer);
          return () => {
            const at = timers.indexOf(timer);
            if (at !== -1) timers.splice(at, 1);
          };
        },
        signal: ending.signal,
      });
      return settle();
    },
  };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const fail = () => Promise.reject(new Error('away'));

it('reads again after each answer', async () => {
  const page = makePage();
  await page.start();
  expect([page.heard, page.timers.map(({ ms }) => ms)]).toEqual([['answer'], [2_000]]);
  await page.tick();
  expect([page.heard.length, page.timers.length]).toEqual([2, 1]);
});

it('waits longer after each failure in a row, up to a limit', async () => {
  const page = makePage();
  page.answers.push(fail, fail, fail, fail, fail, () => Promise.resolve('back'), fail);
  await page.start();
  for (let i = 0; i < 6; i++) await page.tick();
  expect(page.heard).toEqual([
    'away 4000',
    'away 8000',
    'away 16000',
    'away 30000',
    'away 30000',
    'back',
    'away 4000',
  ]);
});

it('does not read while the page is hidden, and reads when it is shown', async () => {
  const page = makePage();
  await page.start();
  page.setVisible(false);
  expect(page.timers).toEqual([]);
  page.setVisible(true);
  await settle();
  expect([page.heard.length, page.timers.length]).toEqual([2, 1]);
});

it('does not read a second time while an answer is on its way', async () => {
  const page = makePage();
  const { promise, resolve } = Promise.withResolvers<string>();
  page.answers.push(() => promise);
  await page.start();
  page.setVisible(false);
  page.setVisible(true);
  await settle();
  resolve('late');
  await settle();
  expect([page.heard, page.timers.length]).toEqual([['late'], 1]);
});

it('ends when the person signs out, also if an answer comes later', async () => {
  const page = makePage();
  const { promise, resolve } = Promise.withResolvers<string>();
  page.answers.push(() => promise);
  await page.start();
  page.end();
  resolve('late');
  await settle();
  expect([page.heard, page.timers]).toEqual([[], []]);
});
