import { readFileSync } from 'node:fs';
import jsTokens from 'js-tokens';

/** A text that people read. Its lines are those of the file, from `line` on. */
export interface Prose {
  file: string;
  line: number;
  text: string;
}

/** A line of a diagram. */
const DRAWING = /[─│┌┐└┘├►▲▼]/;

/** Words from which a string is taken for a sentence. */
const STRING_WORDS_MIN = 4;

/** The texts of one file: of Markdown the whole; of code its comments, and its strings that are sentences. */
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

/** Comments, of which neighbours on lines of their own are one; and strings that are sentences. */
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
  if (/[{};]\s*$|^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|GRANT|DROP)\b|=>|\n\s*\n/.test(text))
    return false;
  const words = text.split(/\s+/).filter((word) => /^[("'“‘]*[A-Za-z’'-]+[.,:;?!)"'”’]*$/.test(word));
  return words.length >= STRING_WORDS_MIN && words.length >= text.split(/\s+/).length * 0.6;
}

/** Without the marks of a comment. Tags and lists of arguments become items of a list: each is a sentence of its own. */
function withoutMarks(line: string): string {
  if (DRAWING.test(line)) return '';
  return line.replace(/^\s*(\*|\/\/|--|#)?\s*/, '').replace(/^(@\w+|(KEYS|ARGV)\[|\{'|'\{)/, '- $1');
}
