import { createHash } from 'node:crypto';

/** Where a command's keys are, as `COMMAND` tells: argument positions from 1, a negative `last` from the end. */
export interface KeyPositions {
  first: number;
  last: number;
  step: number;
}

interface Translation {
  clientSha: string;
  redisSha: string;
  redisText: string;
}

const FLAG = 'allow-key-locking';
const SHEBANG = /^#!lua\b[^\n]*\n/;
const SCRIPTS_MAX = 1_000;

/**
 * The service locks the whole database for a script, unless its first line says `#!lua flags=allow-key-locking`. Then it locks the keys
 * in KEYS and refuses the script any other key. Plain Redis refuses the flag. So this removes the flag and checks the keys of each
 * `redis.call`. The client still knows the script by the SHA of the text that it sent.
 *
 * Not checked here, although the service would refuse: keys of commands with their own count or keyword (XREAD, ZUNION, …). Also not
 * checked: commands whose name the script does not spell out.
 */
export class ScriptTranslator {
  readonly #positions: ReadonlyMap<string, KeyPositions>;
  readonly #byText = new Map<string, Translation>();
  readonly #redisShas = new Map<string, string>();

  /** `positions` by command name in upper case. */
  constructor(positions: ReadonlyMap<string, KeyPositions>) {
    this.#positions = positions;
  }

  /** The command for Redis. A client SHA that is not known goes through: Redis answers NOSCRIPT. */
  translate(command: [string, ...string[]]): [string, ...string[]] {
    const [name, first, ...rest] = command;
    if (first === undefined) return command;
    switch (name) {
      case 'EVAL':
      case 'EVAL_RO':
        return [name, this.#translateText(first)?.redisText ?? first, ...rest];
      case 'EVALSHA':
      case 'EVALSHA_RO':
        return [name, this.#toRedisSha(first), ...rest];
      case 'SCRIPT':
        return [name, first, ...this.#translateScriptArguments(first.toUpperCase(), rest)];
      default:
        return command;
    }
  }

  /** Redis's answer to the client's `command`: SCRIPT LOAD gives the SHA of what the client sent. */
  translateReply([name, subcommand, text]: readonly string[], reply: unknown): unknown {
    if (name !== 'SCRIPT' || subcommand?.toUpperCase() !== 'LOAD' || text === undefined) return reply;
    const translation = this.#translateText(text);
    return translation === null ? reply : Buffer.from(translation.clientSha);
  }

  #translateScriptArguments(subcommand: string, args: string[]): string[] {
    if (subcommand === 'LOAD') return args.map((text) => this.#translateText(text)?.redisText ?? text);
    if (subcommand === 'EXISTS') return args.map((sha) => this.#toRedisSha(sha));
    return args;
  }

  #toRedisSha(clientSha: string): string {
    return this.#redisShas.get(clientSha.toLowerCase()) ?? clientSha;
  }

  /** Null for a script without the flag, which Redis takes as it is. */
  #translateText(text: string): Translation | null {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const shebang = SHEBANG.exec(text)?.[0];
    const flags = shebang === undefined ? [] : readFlags(shebang);
    if (shebang === undefined || !flags.includes(FLAG)) return null;
    const others = flags.filter((flag) => flag !== FLAG);
    // Without flags the line stays `#!lua`. Dropping it would put the script into Redis's compatibility mode. There, a full memory does not
    // stop a script before its first write.
    const header = others.length === 0 ? '#!lua' : `#!lua flags=${others.join(',')}`;
    const redisText = `${header}\n${this.#writeGuard(text)} ${text.slice(shebang.length)}`;
    const translation = { clientSha: sha1(text), redisSha: sha1(redisText), redisText };
    if (this.#byText.size >= SCRIPTS_MAX) {
      this.#byText.clear();
      this.#redisShas.clear();
    }
    this.#byText.set(text, translation);
    this.#redisShas.set(translation.clientSha, translation.redisSha);
    return translation;
  }

  /** The check, in one line so that the script's own lines keep their numbers in errors. */
  #writeGuard(text: string): string {
    const specs: string[] = [];
    for (const word of new Set(text.match(/[A-Za-z_]+/g))) {
      const name = word.toUpperCase();
      const at = this.#positions.get(name);
      if (name === 'FLUSHALL' || name === 'FLUSHDB') specs.push(`['${word}']=false`);
      else if (at !== undefined && at.first > 0)
        specs.push(`['${word}']=${isFirstOnly(at) ? 'true' : `{${at.first},${at.last},${at.step}}`}`);
    }
    return `${GUARD}(redis,{${specs.join(',')}})`;
  }
}

// A spec is true where the first argument is the only key, which is nearly always; such a call is checked in
// its own frame.
const GUARD = `
  local redis = (function(real, specs)
    local declared, call, pcall = {}, real.call, real.pcall
    for _, key in ipairs(KEYS) do declared[key] = true end
    local function refuse(spec, name, ...)
      if spec == false then
        return "ERR " .. name .. " is not allowed in Lua scripts when '${FLAG}' flag is set"
      end
      if spec == true then spec = {1, 1, 1} end
      local count = select('#', ...)
      local last = spec[2] < 0 and count + 1 + spec[2] or math.min(spec[2], count)
      for i = spec[1], last, spec[3] do
        local key = tostring((select(i, ...)))
        if not declared[key] then
          return "ERR Dynamic keys are not allowed in Lua scripts when '${FLAG}' flag is set. Key was: " .. key
        end
      end
    end
    return setmetatable({
      call = function(...)
        local name, key = ...
        local spec = specs[name]
        if spec ~= nil and not (spec == true and declared[key]) then
          local refusal = refuse(spec, ...)
          if refusal then error({err = refusal}) end
        end
        return call(...)
      end,
      pcall = function(...)
        local spec = specs[(...)]
        local refusal = spec ~= nil and refuse(spec, ...)
        if refusal then return {err = refusal} end
        return pcall(...)
      end
    }, {__index = real})
  end)`
  .trim()
  .replace(/\s*\n\s*/g, ' ');

function isFirstOnly({ first, last }: KeyPositions): boolean {
  return first === 1 && last === 1;
}

function readFlags(shebang: string): string[] {
  return (
    /\bflags=(\S*)/
      .exec(shebang)?.[1]
      ?.split(',')
      .filter((flag) => flag !== '') ?? []
  );
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
