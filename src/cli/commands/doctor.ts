import { defineCommand, JSON_OPTION } from '../command.ts';
import { examine } from '../doctor/examine.ts';
import type { Finding, FindingStatus } from '../doctor/finding.ts';

const MARKS: Record<FindingStatus, string> = {
  ok: 'ok   ',
  warning: 'WARN ',
  wrong: 'WRONG',
  unknown: '?    ',
};

export const doctorCommand = defineCommand({
  name: 'doctor',
  description:
    'Look at the configuration, the API, the stores, the logs and their schedule; what to do where something is wrong',
  args: { ...JSON_OPTION },
  examples: ['doctor', 'doctor --json'],
  async run(_, context) {
    const findings = await examine(context);
    const count = (status: FindingStatus) => findings.filter((finding) => finding.status === status).length;
    const [wrong, warnings, unknown] = [count('wrong'), count('warning'), count('unknown')];
    const sum = [
      wrong > 0 ? `${wrong} wrong` : 'nothing is wrong',
      ...(warnings > 0 ? [`${warnings} to be looked at`] : []),
      ...(unknown > 0 ? [`${unknown} could not be seen`] : []),
    ].join('; ');
    return {
      document: { healthy: wrong === 0, findings },
      text: [...findings.map(describe), sum].join('\n'),
      failed: wrong > 0,
    };
  },
});

function describe({ status, id, message, remedy }: Finding): string {
  const line = `${MARKS[status]}  ${id}: ${message}`;
  return remedy === undefined ? line : `${line}\n       ${remedy}`;
}
