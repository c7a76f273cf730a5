import { expect, it } from 'vitest';
import { writeCsv } from './csv.ts';

it('[N4a] a cell with a comma, a quote or a line break is quoted, and a null is empty', () => {
  const rows = [
    { name: 'Hall, "north"', people: 3, peak: null },
    { name: 'two\nlines', people: 0, peak: 1.5 },
  ];
  expect(writeCsv(['name', 'people', 'peak'], rows)).toBe(
    'name,people,peak\r\n"Hall, ""north""",3,\r\n"two\nlines",0,1.5\r\n',
  );
  expect(writeCsv(['name'], [])).toBe('name\r\n');
});

it.each([
  ['=1+1', "'=1+1"],
  ['+49', "'+49"],
  ['-2', "'-2"],
  ['@sum(a)', "'@sum(a)"],
  ['\tx', "'\tx"],
  ['\rx', '"\'\rx"'],
  ['\n=x', '"\'\n=x"'],
  ["x;=cmd|'/C calc'!A0", `"x;=cmd|'/C calc'!A0"`],
  ['=a,"b"', '"\'=a,""b"""'],
])('[N4b] a text that a spreadsheet would take for a formula is only text: %j', (name, cell) => {
  expect(writeCsv(['name'], [{ name }])).toBe(`name\r\n${cell}\r\n`);
});
