import { find } from './dom.ts';
import { answerOtherTabs, keepSignIn, readLink, readSignIn, type SignInProblem } from './sign-in.ts';
import { openWorld } from './world-page.ts';

const PROBLEMS: Record<SignInProblem, string> = {
  none: 'This is no sign-in link: it has nothing behind "#".',
  incomplete: 'The link is incomplete: behind "#" it needs "space" and "token".',
  no_token: 'The link is not valid: its token is damaged. Copy the whole link.',
  api_key: 'This is an API key, which opens everything of a tenant. A page needs the token of a session.',
};

const signIn = await readSignIn();
// A link that is opened in this tab changes only the fragment.
addEventListener('hashchange', () => location.reload());
if (typeof signIn === 'object') {
  answerOtherTabs(signIn);
  // Without the token: this tab answers the new one.
  find<HTMLAnchorElement>('share').href = location.pathname;
  openWorld(signIn);
} else showSignIn(signIn);

function showSignIn(given: SignInProblem): void {
  const problem = find('sign-in-problem');
  const input = find<HTMLInputElement>('link');
  const explain = (text: string) => {
    problem.textContent = text;
    problem.hidden = false;
  };
  find('sign-in').hidden = false;
  if (given !== 'none') explain(PROBLEMS[given]);
  find('sign-in-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const read = readLink(input.value.trim());
    if (typeof read === 'string') explain(PROBLEMS[read]);
    else {
      keepSignIn(read);
      location.reload();
    }
  });
  input.focus();
}
