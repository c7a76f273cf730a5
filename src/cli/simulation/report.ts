import { showCount } from '../../helpers/counts.ts';

export interface Latency {
  p50Ms: number;
  p99Ms: number;
}

/** The result of a simulation, as `--json` prints it. */
export interface Report {
  /** The users and their objects have the ids `sim-<run>-<n>`, with n from 0. */
  run: string;
  space: string;
  users: number;
  hz: number;
  seconds: number;
  /** `session`: each user has one. `key`: all share the API key. */
  credentials: 'session' | 'key';
  moves: {
    planned: number;
    made: number;
    /** How late this process called them. */
    late: Latency | null;
  };
  /** `sent`: one for all moves that waited for the same request. */
  operations: { sent: number; acknowledged: number; refused: number };
  /** Changes of others that the watching clients got, with the time since the call of `move`. */
  seen: { watchers: number; updates: number; latency: Latency | null };
  /** Objects whose last acknowledged position a watching client or the state does not show. `first`: ten at most. */
  lost: { objects: number; first: { id: string; missingIn: 'clients' | 'state' }[] };
  /** By code. */
  errors: Record<string, number>;
  reconnects: number;
  /** Things that could not be deleted. */
  leftBehind: { objects: number; users: number };
}

/** The report as a table. */
export function printReport(report: Report): string {
  const { space, users, hz, seconds, credentials, moves, operations, seen, lost, errors, leftBehind } =
    report;
  const errorCount = Object.values(errors).reduce((sum, count) => sum + count, 0);
  const codes = Object.entries(errors).map(([code, count]) => `${code} ${showCount(count)}`);
  const rows: [name: string, value: string][] = [
    ['moves made', `${showCount(moves.made)} of ${showCount(moves.planned)}`],
    ['  late in this process', printLatency(moves.late)],
    ['operations sent', `${showCount(operations.sent)} after merging`],
    ['  acknowledged', showCount(operations.acknowledged)],
    ['  refused', showCount(operations.refused)],
    ['updates seen by others', `${showCount(seen.updates)} in ${count(seen.watchers, 'client')}`],
    ['  after the call', printLatency(seen.latency)],
    ['lost', `${showCount(lost.objects)} of ${count(users, 'object')}`],
    ['errors', errorCount === 0 ? '0' : `${showCount(errorCount)}: ${codes.join(', ')}`],
    ['reconnects', showCount(report.reconnects)],
  ];
  if (leftBehind.objects + leftBehind.users > 0)
    rows.push(['left behind', `${count(leftBehind.objects, 'object')}, ${count(leftBehind.users, 'user')}`]);
  const width = Math.max(...rows.map(([name]) => name.length));
  const each = credentials === 'session' ? 'each with a session' : 'all with the API key';
  return [
    `${count(users, 'user')} in space ${space}, ${each}: ${count(hz, 'move')} per second for ${showCount(seconds)} s`,
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...lost.first.map(({ id, missingIn }) =>
      missingIn === 'state'
        ? `lost: ${id} is not in the state of the server`
        : `lost: ${id} is not shown by every watching client`,
    ),
  ].join('\n');
}

function printLatency(latency: Latency | null): string {
  if (latency === null) return 'not measured';
  return `p50 ${showMs(latency.p50Ms)} ms, p99 ${showMs(latency.p99Ms)} ms`;
}

function showMs(ms: number): string {
  return ms < 9.95 ? ms.toFixed(1) : showCount(Math.round(ms));
}

function count(number: number, noun: string): string {
  return `${showCount(number)} ${noun}${number === 1 ? '' : 's'}`;
}
