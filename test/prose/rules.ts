import type { TextlintRuleModule } from '@textlint/types';
import { SentenceSplitterSyntax, splitAST } from 'sentence-splitter';

/** The limit of words in a sentence. A piece of code counts as one word. */
export const SENTENCE_WORDS_MAX = 25;

/** An end of a sentence that the splitter reads as a part of a number. */
const AFTER_NUMBER = /(?<=\d\.)\s+(?=[\p{Lu}`])/u;

/** Words that no text may use, with the usual word for each. */
const WORDS: [pattern: RegExp, instead: string][] = [
  [/\banew\b/i, 'again'],
  [/\bheed(s|ed|ing)?\b/i, 'use, or ignore'],
  [/\bbut for\b/i, 'except'],
  [/\bof late\b/i, 'recently'],
  [/\bput(s|ting)? right\b/i, 'correct'],
  [/\blet(s|ting)? go\b/i, 'release, or delete'],
  [/\bbeside\b/i, 'next to, or with'],
  [/\bdear(er|est)?\b/i, 'expensive'],
  [/\bat once\b/i, 'immediately, or at the same time'],
  [/\bstand(s|ing)?\b(?! alone\b)/i, 'is'],
  [/\bas ever\b/i, 'as before'],
  [/\bcom(e|es|ing) to nothing\b/i, 'has no effect'],
  [/\b(whence|thence|hence|thereof|therein|lest|amid|wherein|whereby)\b/i, 'a usual word'],
  [/\b(whoever|whomever|whosoever)\b/i, 'the actor’s name'],
  [
    /\b(of|by|for|from|to|with|than|behind|after|before|on|in|and|but|or|as) (who|whom)\b/i,
    'the actor’s name',
  ],
  [
    /\b(of|by|for|from|with|than|behind|after|before|on|in|and|but|or) what (is|was|are|were|has|had|have|it|they|he|that|those|came|comes|stands|waits|waited)\b/i,
    'the thing’s name',
  ],
  [
    /\bthose (who|whom|that|which|behind|before|after|of|in|with|beside|from|it)\b/i,
    'the thing’s or the actor’s name',
  ],
  [/\b(he|she|one|anyone|everyone|everybody|nobody|somebody) who\b/i, 'the actor’s name'],
  [/^(Who|Whom|What|Those|That which)\b(?!.*\?$)/, 'a sentence that begins with the actor'],
];

/** Reports sentences that are too long. */
export const sentenceLength: TextlintRuleModule = ({ Syntax, RuleError, report, getSource }) => {
  const check = (node: Parameters<typeof splitAST>[0]) => {
    for (const sentence of splitAST(node).children) {
      if (sentence.type !== SentenceSplitterSyntax.Sentence) continue;
      const text = getSource(sentence as never) || sentence.raw;
      const words = Math.max(...text.split(AFTER_NUMBER).map(countWords));
      if (words > SENTENCE_WORDS_MAX)
        report(
          sentence as never,
          new RuleError(
            `a sentence of ${words} words, at most ${SENTENCE_WORDS_MAX}: “${sentence.raw.replaceAll(/\s+/g, ' ').slice(0, 60)}…”`,
          ),
        );
    }
  };
  return { [Syntax.Paragraph]: check as never, [Syntax.TableCell]: check as never };
};

/** Reports words that a new reader must read twice. */
export const plainWords: TextlintRuleModule = ({ Syntax, RuleError, report }) => {
  const check = (node: Parameters<typeof splitAST>[0]) => {
    for (const sentence of splitAST(node).children) {
      if (sentence.type !== SentenceSplitterSyntax.Sentence) continue;
      const text = withoutCode(sentence.raw)
        .replaceAll(/\s+/g, ' ')
        .replace(/^[-*#\s]+/, '');
      for (const [pattern, instead] of WORDS) {
        const found = pattern.exec(text)?.[0];
        if (found !== undefined)
          report(sentence as never, new RuleError(`“${found}” in “${text.slice(0, 60)}”: say ${instead}`));
      }
    }
  };
  return {
    [Syntax.Paragraph]: check as never,
    [Syntax.TableCell]: check as never,
    [Syntax.Header]: check as never,
  };
};

function withoutCode(text: string): string {
  return text
    .replaceAll(/`[^`]*`/g, 'code')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/https?:\/\/\S+/g, 'address');
}

export function countWords(text: string): number {
  return withoutCode(text).match(/[\p{L}\p{N}][\p{L}\p{N}'’./_-]*/gu)?.length ?? 0;
}
