import { readFileSync } from 'node:fs';
import jsTokens from 'js-tokens';

/** A text that people read. Its first line is line `line` of the file. */
export interface Prose {
  file: string;
  line: number;
  text: string;
}

/** A line of a diagram. */
const DRAWING = /[─│┌┐└┘├►▲▼]/;

/** A string with fewer words is not a sentence. */
const STRING_WORDS_MIN = 4;

/** The texts of one file: all of a Markdown file; comments and sentences in strings of a code file. */
export function listProse(file: string): Prose[] {
  const source = readFileSync(file, 'utf8');
  if (file.endsWith('.md')) return [{ file, line: 1, text: source }];
  if (file.endsWith('.lua'))
    return listMatches(file, source, /--\[\[([\s\S]*?)\]\]|((?:^[ \t]*--(?!\[\[).*\n)+)/gm);
  if (file.endsWith('.sql'))
    return listMatches(file, source, /\/\*([\s\S]*?)\*\/|((?:^[ \t]*--(?!>).*\n)+)/gm);
  if (/\.(toml|ya?ml)$|\.env\.example$/.test(file)) return listMatches(file, source, /((?:^[ \t]*#.*\n)+)/gm);
  return listCode(file, source);
}

function listMatches(file: string, source: string, pattern: RegExp): Prose[] {
  return [...source.matchAll(pattern)].map((match) => ({
    file,
    line: source.slice(0, match.index).split('\n').length,
    text: (match[1] ?? match[2] ?? '').split('\n').map(withoutMarks).join('\n'),
  }));
}

/** Comments and strings that are sentences. Neighbouring comment lines are one comment. */
function listCode(file: string, source: string): Prose[] {
  const prose: Prose[] = [];
  let line = 1;
  let comment: { line: number; lines: string[] } | null = null;
  let template = '';
  const endComment = () => {
    if (comment !== null)
      prose.push({ file, line: comment.line, text: comment.lines.map(withoutMarks).join('\n') });
    comment = null;
  };
  for (const { type, value } of jsTokens(source)) {
    if (type === 'SingleLineComment') {
      if (comment === null) comment = { line, lines: [] };
      comment.lines.push(value);
    } else if (type !== 'WhiteSpace' && (type !== 'LineTerminatorSequence' || comment === null)) endComment();
    if (type === 'MultiLineComment') {
      const text = value.slice(2, -2).split('\n').map(withoutMarks).join('\n');
      prose.push({ file, line, text });
    }
    if (type === 'TemplateHead') template = '';
    if (type === 'StringLiteral' || type === 'NoSubstitutionTemplate' || type.startsWith('Template')) {
      const text = value
        .replace(/^['"`}]/, '')
        .replace(/(['"`]|\$\{)$/, '')
        .replaceAll(/\\(['"`])/g, '$1');
      template = type === 'TemplateMiddle' || type === 'TemplateTail' ? `${template}\`x\`${text}` : text;
      const isWhole = type !== 'TemplateHead' && type !== 'TemplateMiddle';
      if (isWhole && isSentence(template))
        prose.push({ file, line, text: template.replaceAll(/\\?\n/g, ' ') });
    }
    line += value.split('\n').length - 1;
  }
  endComment();
  return prose;
}

function isSentence(text: string): boolean {
  if (
    /[{};]\s*$|^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|GRANT|DROP)\b|^\s*select\b.*\bfrom\b|=>|\n\s*\n/.test(
      text,
    )
  )
    return false;
  const words = text.split(/\s+/).filter((word) => /^[("'“‘]*[A-Za-z’'-]+[.,:;?!)"'”’]*$/.test(word));
  return words.length >= STRING_WORDS_MIN && words.length >= text.split(/\s+/).length * 0.6;
}

/** Removes the marks of a comment. A tag or an argument becomes a list item, so that it is a separate sentence. */
function withoutMarks(line: string): string {
  if (DRAWING.test(line)) return '';
  return line.replace(/^\s*(\*|\/\/|--|#)?\s*/, '').replace(/^(@\w+|(KEYS|ARGV)\[|\{'|'\{)/, '- $1');
}
