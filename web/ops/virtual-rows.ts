import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import { make } from './elements.ts';

export interface VirtualRowsOptions<Item> {
  scroller: HTMLElement;
  body: HTMLTableSectionElement;
  rowHeight: number;
  count(): number;
  /** Null: it is not loaded yet. A row is made again if its item is another one. */
  read(index: number): Item | null;
  make(index: number, item: Item | null): HTMLTableRowElement;
  /** Called with the last row that is rendered. */
  onRange(lastIndex: number): void;
  signal: AbortSignal;
}

export interface VirtualRows {
  /** Renders again, after the items changed. */
  refresh(): void;
  scrollToStart(): void;
}

const OVERSCAN = 10;

/** Renders only the visible rows of a table, however many there are. Empty rows above and below have the height of the others. */
export function showVirtualRows<Item>(options: VirtualRowsOptions<Item>): VirtualRows {
  const { scroller, body, rowHeight, signal } = options;
  const rendered = new Map<number, { row: HTMLTableRowElement; item: Item | null }>();
  const [above, below] = [makeSpace(), makeSpace()];
  body.replaceChildren(above, below);
  const virtualizer = new Virtualizer<HTMLElement, HTMLElement>(readOptions());

  function readOptions() {
    return {
      count: options.count(),
      getScrollElement: () => scroller,
      estimateSize: () => rowHeight,
      overscan: OVERSCAN,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      onChange: render,
    };
  }

  function render(): void {
    const items = virtualizer.getVirtualItems();
    const visible = new Set(items.map(({ index }) => index));
    for (const [index, { row, item }] of rendered)
      if (!visible.has(index) || options.read(index) !== item) {
        row.remove();
        rendered.delete(index);
      }
    // Rows that stay are not touched, so that they keep the focus.
    let next: HTMLTableRowElement = below;
    for (const { index } of items.toReversed()) {
      const item = options.read(index);
      const row = rendered.get(index)?.row ?? options.make(index, item);
      if (!rendered.has(index)) body.insertBefore(row, next);
      rendered.set(index, { row, item });
      next = row;
    }
    const [first, last] = [items[0], items.at(-1)];
    above.style.height = `${first?.start ?? 0}px`;
    below.style.height = `${virtualizer.getTotalSize() - (last?.end ?? 0)}px`;
    if (last !== undefined) options.onRange(last.index);
  }

  signal.addEventListener('abort', virtualizer._didMount());
  virtualizer._willUpdate();
  return {
    refresh() {
      virtualizer.setOptions(readOptions());
      virtualizer._willUpdate();
      render();
    },
    scrollToStart: () => virtualizer.scrollToOffset(0),
  };
}

function makeSpace(): HTMLTableRowElement {
  const row = make('tr', { className: 'space' });
  row.ariaHidden = 'true';
  return row;
}
