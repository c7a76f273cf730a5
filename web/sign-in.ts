/** A session token and the space that it is for. */
export interface SignIn {
  space: string;
  token: string;
}

export type SignInProblem = 'none' | 'api_key' | 'incomplete';

const STORED = 'worldkeep.sign-in';
const CHANNEL = 'worldkeep.sign-in';
/** Milliseconds that another open tab has to answer. */
const OTHER_TABS_MS = 300;

/**
 * The sign-in of this tab: from the fragment of its address, else from an earlier load, else from another open tab. The fragment is
 * removed, so that the token is neither in the history nor on a screenshot.
 */
export async function readSignIn(): Promise<SignIn | SignInProblem> {
  const given = readLink(location.href);
  if (given !== 'none') {
    history.replaceState(null, '', location.pathname);
    if (typeof given === 'object') keepSignIn(given);
    return given;
  }
  const kept = readKept();
  if (kept !== null) return kept;
  const other = await askOtherTabs();
  if (other === null) return 'none';
  keepSignIn(other);
  return other;
}

/** Reads a sign-in link, such as `https://worlds.example/#space=plaza&token=…`. */
export function readLink(link: string): SignIn | SignInProblem {
  const at = link.indexOf('#');
  if (at === -1 || at === link.length - 1) return 'none';
  const { space, token } = Object.fromEntries(new URLSearchParams(link.slice(at + 1)));
  if (!space || !token) return 'incomplete';
  return token.startsWith('wk_') ? 'api_key' : { space, token };
}

export function buildLink({ space, token }: SignIn): string {
  return `${location.origin}${location.pathname}#${new URLSearchParams({ space, token })}`;
}

export function keepSignIn(signIn: SignIn): void {
  sessionStorage.setItem(STORED, JSON.stringify(signIn));
}

export function forgetSignIn(): void {
  sessionStorage.removeItem(STORED);
}

/** Lets a new tab of this browser show the same world. */
export function answerOtherTabs(signIn: SignIn): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener('message', ({ data }) => {
    if (data === 'ask') channel.postMessage(signIn);
  });
}

function askOtherTabs(): Promise<SignIn | null> {
  const channel = new BroadcastChannel(CHANNEL);
  return new Promise<SignIn | null>((resolve) => {
    channel.addEventListener('message', ({ data }) => {
      if (typeof data?.space === 'string' && typeof data.token === 'string') resolve(data);
    });
    channel.postMessage('ask');
    setTimeout(() => resolve(null), OTHER_TABS_MS);
  }).finally(() => channel.close());
}

function readKept(): SignIn | null {
  const text = sessionStorage.getItem(STORED);
  return text === null ? null : JSON.parse(text);
}
