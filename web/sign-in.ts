/** A session token and the space that it is for. */
export interface SignIn {
  space: string;
  token: string;
}

export type SignInProblem = 'none' | 'api_key' | 'incomplete' | 'no_token';

/** Three parts of base64url: a JSON Web Token. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const STORED = 'worldkeep.sign-in';
const CHANNEL = 'worldkeep.sign-in';
/** Milliseconds that another open tab has to answer. */
const OTHER_TABS_MS = 300;

/**
 * The sign-in of this tab: from the fragment of its address, else from an earlier load, else from another open tab. The fragment is
 * removed from the address. The browser may keep the link in its history, as any link that somebody opened.
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
  if (token.startsWith('wk_')) return 'api_key';
  return TOKEN.test(token) ? { space, token } : 'no_token';
}

/** A browser may forbid the page to store anything: then a reload needs the link again. */
export function keepSignIn(signIn: SignIn): void {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(signIn));
  } catch (error) {
    console.warn(error);
  }
}

export function forgetSignIn(): void {
  try {
    sessionStorage.removeItem(STORED);
  } catch (error) {
    console.warn(error);
  }
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
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? 'null');
  } catch {
    return null;
  }
}
