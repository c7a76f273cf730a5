// A Colyseus room whose world worldkeep keeps. The room decides; worldkeep stores each change, and has the world when the room starts again.
import { Room } from '@colyseus/core';
import { schema, t } from '@colyseus/schema';
import { connect } from 'worldkeep/client';

export const Piece = schema({ x: t.number(), y: t.number(), z: t.number(), owner: t.string() }, 'Piece');
export const Board = schema({ pieces: t.map(Piece) }, 'Board');

const STEP_MAX = 1;

export class BoardRoom extends Room {
  /** Here your game decides who the player is. This example believes the name. The result is `client.auth`. */
  static async onAuth(_token, { name }) {
    return typeof name === 'string' && /^[\w-]{1,32}$/.test(name) && { name };
  }

  /** @param options `space` and `worldkeep: {url, token}`, from `server.define`. A client cannot replace them. */
  async onCreate({ space, worldkeep }) {
    this.setState(new Board());
    this.world = connect({ ...worldkeep, space, durability: 'committed' });
    this.world.on('refused', (error, operation) => console.warn(operation.id, error.message));
    await this.world.ready;
    for (const object of this.world.objects.values()) this.show(object);
    // Own changes, and changes from elsewhere: another room, an editor, the command line.
    this.world.objects.on('enter', (object) => this.show(object));
    this.world.objects.on('change', (object) => this.show(object));
    this.world.objects.on('leave', ({ id }) => this.state.pieces.delete(id));

    this.onMessage('move', (client, message) => {
      const { id, x, z } = Object(message);
      const piece = typeof id === 'string' ? this.state.pieces.get(id) : undefined;
      // The rules of this game: only its owner moves a piece, and a piece moves one step.
      if (piece?.owner !== client.auth.name || !Number.isFinite(x) || !Number.isFinite(z)) return;
      if (Math.hypot(x - piece.x, z - piece.z) > STEP_MAX) return;
      this.world.move(id, { position: { x, y: piece.y, z } });
    });
  }

  onJoin({ auth: { name } }) {
    if (!this.world.objects.has(name)) this.world.put(name, { properties: { owner: name } });
  }

  /** Waits until worldkeep has every change, for up to 5 s. */
  async onDispose() {
    const unsent = await this.world.close();
    if (unsent > 0) console.error(`${unsent} changes are lost: worldkeep did not answer.`);
  }

  show({ id, position, properties }) {
    const piece = this.state.pieces.get(id) ?? new Piece();
    piece.assign({ ...position, owner: String(properties.owner ?? '') });
    this.state.pieces.set(id, piece);
  }
}
