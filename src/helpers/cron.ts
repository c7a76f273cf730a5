const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** The 29th of February comes at least once in eight years. */
const DAYS_SEARCHED_MAX = 8 * 366;
/** Minute, hour, day of the month, month, day of the week. A list may also name Sunday 7. */
const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

/**
 * The first time after `afterMs` that a schedule names, in milliseconds since 1970.
 * @param cron five fields in UTC: lists of `*`, numbers and ranges, each with or without a step. As in crontab, one of two limited day
 * fields is enough.
 * @returns null for a schedule that never comes, such as the 30th of February
 */
export function findNextTime(cron: string, afterMs: number): number | null {
  const fields = cron.split(' ');
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = RANGES.map((range, i) =>
    readField(fields[i] ?? '*', range),
  );
  const [anyDay, anyWeekday] = [fields[2] === '*', fields[4] === '*'];
  const isDue = (date: Date) => {
    if (!months.includes(date.getUTCMonth() + 1)) return false;
    const isDay = days.includes(date.getUTCDate());
    const weekday = date.getUTCDay();
    const isWeekday = weekdays.includes(weekday) || (weekday === 0 && weekdays.includes(7));
    return anyDay || anyWeekday ? isDay && isWeekday : isDay || isWeekday;
  };
  const firstDayMs = Math.floor(afterMs / DAY_MS) * DAY_MS;
  for (let i = 0; i <= DAYS_SEARCHED_MAX; i++) {
    const dayMs = firstDayMs + i * DAY_MS;
    if (!isDue(new Date(dayMs))) continue;
    for (const hour of hours)
      for (const minute of minutes) {
        const atMs = dayMs + hour * HOUR_MS + minute * MINUTE_MS;
        if (atMs > afterMs) return atMs;
      }
  }
  return null;
}

/** The numbers that a field names, ascending. */
function readField(field: string, [min, max]: readonly [number, number]): number[] {
  const named = new Set<number>();
  for (const part of field.split(',')) {
    const [range = '*', step] = part.split('/');
    const [from, to] = range === '*' ? [min, max] : range.split('-').map(Number);
    // A number with a step begins a range: `10/20` is 10, 30, 50.
    const end = to ?? (step === undefined ? from : max);
    for (let n = from ?? min; n <= (end ?? max); n += Number(step ?? 1)) named.add(n);
  }
  return [...named].sort((a, b) => a - b);
}
