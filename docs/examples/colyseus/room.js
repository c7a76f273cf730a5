// A Colyseus room whose world worldkeep keeps. The room decides; worldkeep stores each change, and has the world when the room starts again.
import { Room } from '@colyseus/core';
import { schema, t } from '@colyseus/schema';
import { connect } from 'worldkeep/client';

export const Piece = schema({ x: t.number(), y: t.number(), z: t.number(), owner: t.string() }, 'Piece');
export const Board = schema({ pieces: t.map(Piece) }, 'Board');

export class BoardRoom extends Room {
  /** @param options `{space, worldkeep: {url, token}}`; `worldkeep` comes from `define`, never from a client */
  async onCreate({ space, worldkeep }) {
    this.setState(new Board());
    this.world = connect({ ...worldkeep, space, durability: 'committed' });
    await this.world.ready;
    for (const object of this.world.objects.values()) this.show(object);
    // Changes from elsewhere: another room, an editor, the command line.
    this.world.objects.on('enter', (object) => this.show(object));
    this.world.objects.on('change', (object) => this.show(object));
    this.world.objects.on('leave', ({ id }) => this.state.pieces.delete(id));

    this.onMessage('move', (client, { id, x, z }) => {
      const piece = this.state.pieces.get(id);
      // The rule of this game: a piece moves one step, and only its owner moves it.
      if (piece?.owner !== client.userData.name || Math.hypot(x - piece.x, z - piece.z) > 1) return;
      this.world.move(id, { position: { x, y: piece.y, z } });
    });
  }

  onJoin(client, { name }) {
    client.userData = { name };
    if (!this.state.pieces.has(name)) this.world.put(name, { properties: { owner: name } });
  }

  /** Waits until worldkeep has every change. */
  async onDispose() {
    await this.world.close();
  }

  show({ id, position, properties }) {
    const piece = this.state.pieces.get(id) ?? new Piece();
    piece.assign({ ...position, owner: String(properties.owner ?? '') });
    this.state.pieces.set(id, piece);
  }
}
