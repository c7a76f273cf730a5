import uPlot from 'uplot';
import { make } from './elements.ts';
import type { History, PlottedName } from './rates.ts';

interface Line {
  name: PlottedName;
  label: string;
  color: string;
}

interface PlotOptions {
  title: string;
  lines: readonly Line[];
  format(value: number): string;
  /** The smallest value at the top of the axis, so that noise around 0 does not fill the plot. */
  topMin: number;
  /** Said while there is nothing to plot. */
  none: string;
  /** Values come every few points: the line goes on between them. */
  isSparse?: boolean;
}

const HEIGHT = 140;
const AXIS = { stroke: '#b9c3d3', grid: { stroke: '#2a3242', width: 1 }, ticks: { stroke: '#2a3242' } };
/** The newest part of the history that a plot shows, and the width of a plot that has just begun. */
const SHOWN_SECONDS = { max: 300, min: 60 };
/** Plots with this key show the same moment under the pointer. */
const SYNC_KEY = 'operations';

const clamp = (value: number, { min, max }: typeof SHOWN_SECONDS) => Math.min(Math.max(value, min), max);
const count = (value: number): string => value.toLocaleString(undefined, { maximumFractionDigits: 1 });
const milliseconds = (value: number): string =>
  value < 1_000 ? `${count(value)} ms` : `${count(value / 1_000)} s`;
const percent = (part: number): string => `${count(part * 100)} %`;
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

const NOT_COUNTED = 'none in the last seconds, or not counted for this key';

const PLOTS: readonly PlotOptions[] = [
  {
    title: 'Operations per second',
    lines: [
      { name: 'appended', label: 'updates/s', color: '#5cb8ff' },
      { name: 'drained', label: 'drained/s', color: '#6fdc8c' },
    ],
    format: count,
    topMin: 10,
    none: 'waiting for two answers',
  },
  {
    title: 'Durability lag',
    lines: [{ name: 'lagMs', label: 'oldest pending', color: '#ffb454' }],
    format: milliseconds,
    topMin: 100,
    none: 'waiting for two answers',
  },
  {
    title: 'Backlog',
    lines: [{ name: 'pending', label: 'operations', color: '#c39bff' }],
    format: count,
    topMin: 10,
    none: 'waiting for two answers',
  },
  plotLatency('Latency of updates', 'append'),
  plotLatency('Latency of state reads', 'read'),
  plotLatency('From append to commit', 'commit'),
  {
    title: 'Hit rate of states',
    lines: [{ name: 'hitRate', label: 'hits', color: '#6fdc8c' }],
    format: percent,
    topMin: 1,
    none: NOT_COUNTED,
    isSparse: true,
  },
  {
    title: 'Open streams',
    lines: [{ name: 'streams', label: 'streams', color: '#5cb8ff' }],
    format: count,
    topMin: 5,
    none: 'waiting for two answers',
  },
];

function plotLatency(title: string, of: 'append' | 'read' | 'commit'): PlotOptions {
  return {
    title,
    lines: [
      { name: `${of}.p50`, label: 'p50', color: '#6fdc8c' },
      { name: `${of}.p95`, label: 'p95', color: '#ffd166' },
      { name: `${of}.p99`, label: 'p99', color: '#ff9c9c' },
    ],
    format: milliseconds,
    topMin: 10,
    none: NOT_COUNTED,
    isSparse: true,
  };
}

/** @returns draws the history again */
export function showPlots(container: HTMLElement, history: History, signal: AbortSignal): () => void {
  const draws = PLOTS.map((options) => showPlot(container, history, options, signal));
  return () => {
    for (const draw of draws) draw();
  };
}

function showPlot(
  container: HTMLElement,
  history: History,
  { title, lines, format, topMin, none, isSparse = false }: PlotOptions,
  signal: AbortSignal,
): () => void {
  const values = make('span', { className: 'values' }, none);
  // The values are there as text, so the picture needs none.
  const picture = make('div', { className: 'picture' });
  picture.ariaHidden = 'true';
  const figure = make(
    'figure',
    { className: 'panel' },
    make('figcaption', {}, make('b', {}, title), ' ', values),
    picture,
  );
  container.append(figure);
  const names = lines.map(({ name }) => name);
  const describe = (at: number | null) => {
    const texts = lines.flatMap(({ name, label, color }) => {
      const value = history.read(name, at ?? undefined);
      if (value === null) return [];
      const swatch = make('i');
      swatch.style.background = color;
      return [make('span', {}, swatch, `${label} ${format(value)}`)];
    });
    values.replaceChildren(...(texts.length === 0 ? [none] : texts));
  };
  const plot = new uPlot(
    {
      width: 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: SYNC_KEY }, drag: { x: false, y: false }, y: false },
      scales: {
        x: {
          range: (_plot, from, to) => {
            const end = to ?? Date.now() / 1_000;
            return [end - clamp(end - (from ?? end), SHOWN_SECONDS), end];
          },
        },
        y: { range: (_plot, _from, to) => [0, Math.max(topMin, (to ?? 0) * 1.1)] },
      },
      axes: [
        {
          ...AXIS,
          space: 90,
          size: 30,
          values: (_plot, ticks) => ticks.map((second) => CLOCK.format(second * 1_000)),
        },
        { ...AXIS, size: 62, values: (_plot, ticks) => ticks.map(format) },
      ],
      series: [
        {},
        ...lines.map(({ label, color }) => ({
          label,
          stroke: color,
          width: 1.5,
          points: { show: false },
          spanGaps: isSparse,
        })),
      ],
      hooks: { setCursor: [({ cursor }) => describe(cursor.idx ?? null)] },
    },
    history.columns(names),
    picture,
  );
  const resizing = new ResizeObserver(() => {
    const { clientWidth } = picture;
    // Hidden sections have no width.
    if (clientWidth > 0 && clientWidth !== plot.width) plot.setSize({ width: clientWidth, height: HEIGHT });
  });
  resizing.observe(picture);
  signal.addEventListener('abort', () => {
    resizing.disconnect();
    plot.destroy();
  });
  return () => {
    plot.setData(history.columns(names));
    describe(plot.cursor.idx ?? null);
  };
}
