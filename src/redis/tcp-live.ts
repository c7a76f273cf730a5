import { Redis } from 'ioredis';
import type { LiveHandlers, LiveSource } from '../live/live-stores.ts';
import { createLostError } from './errors.ts';
import { liveChannel } from './keys.ts';
import { readTcpOptions, type TcpOptions } from './tcp.ts';

/** Milliseconds between two questions whether the other side is still there: nothing may be published for hours. */
const PING_MS = 10_000;

interface Channel {
  listeners: Set<Listener>;
  subscribed: Promise<unknown>;
}
interface Listener extends LiveHandlers {
  isOpen: boolean;
}

export type TcpLive = LiveSource & { close(): void };

/**
 * Published messages over one connection for the whole process. It opens when it is first needed, and again whenever it is lost. Each
 * channel is subscribed to once, however many followers it has.
 */
export function openTcpLive(options: TcpOptions): TcpLive {
  const channels = new Map<string, Channel>();
  let redis: Redis | null = null;
  let connected: Promise<unknown> = Promise.resolve();
  let timer: ReturnType<typeof setInterval> | undefined;

  function connect(): Redis {
    if (redis !== null) return redis;
    const made = new Redis({ ...readTcpOptions(options), autoResubscribe: false });
    redis = made;
    // Each command's own rejection says it; without a listener it would be printed.
    made.on('error', () => undefined);
    made.on('message', (name: string, text: string) => {
      for (const listener of channels.get(name)?.listeners ?? []) listener.onMessage(text);
    });
    made.on('close', () => {
      const lost = [...channels.values()];
      channels.clear();
      for (const { listeners } of lost)
        for (const listener of listeners) {
          // Its rejection reaches the caller that waits for the acknowledgement.
          if (!listener.isOpen) continue;
          listener.isOpen = false;
          listener.onEnd();
        }
    });
    // A peer that is gone without a word is found out by its silence.
    timer = setInterval(() => void made.ping().catch(() => undefined), PING_MS);
    connected = made.connect().catch(() => undefined);
    return made;
  }

  function join(name: string): Channel {
    const known = channels.get(name);
    if (known !== undefined) return known;
    const made = connect();
    const channel = {
      listeners: new Set<Listener>(),
      subscribed: connected.then(() => made.subscribe(name)),
    };
    channels.set(name, channel);
    return channel;
  }

  function leave(name: string, channel: Channel, listener: Listener): void {
    listener.isOpen = false;
    channel.listeners.delete(listener);
    if (channel.listeners.size > 0 || channels.get(name) !== channel) return;
    channels.delete(name);
    redis?.unsubscribe(name).catch(() => undefined);
  }

  return {
    async subscribe(address, incarnation, handlers) {
      const name = liveChannel(address, incarnation);
      const channel = join(name);
      const listener: Listener = { ...handlers, isOpen: false };
      channel.listeners.add(listener);
      try {
        await channel.subscribed;
        if (channels.get(name) !== channel) throw new Error('the connection was lost');
      } catch (cause) {
        leave(name, channel, listener);
        throw createLostError(cause);
      }
      listener.isOpen = true;
      return { close: () => leave(name, channel, listener) };
    },
    close() {
      clearInterval(timer);
      channels.clear();
      redis?.disconnect();
      redis = null;
    },
  };
}
