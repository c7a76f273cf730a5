// A list of objects, the chat and the people who are here. Each part renders again only when its own data changes.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { connect, createId } from 'worldkeep/client';
import {
  useChat,
  useObject,
  useObjectIds,
  usePresence,
  useStatus,
  useWorld,
  WorldProvider,
} from 'worldkeep/react';

const { url, space, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const world = connect({ url, space, token });

function Item({ id }) {
  const { move } = useActions();
  const object = useObject(id);
  if (object === undefined) return null;
  return (
    <li>
      {object.name ?? id} is at {object.position.x} m{' '}
      <button type="button" onClick={() => move(object)}>
        Move {object.name}
      </button>
    </li>
  );
}

function useActions() {
  const world = useWorld();
  return {
    move: ({ id, position }) => world.move(id, { position: { ...position, x: position.x + 1 } }),
    add: (name) => world.put(createId(), { name }),
  };
}

function Chat() {
  const { messages, say } = useChat();
  const [text, setText] = useState('');
  const send = (event) => {
    event.preventDefault();
    say(text);
    setText('');
  };
  return (
    <form onSubmit={send}>
      {messages.map((message) => (
        <p key={message.id} style={{ opacity: message.seq === 0 ? 0.5 : 1 }}>
          {message.userId}: <bdi>{message.text}</bdi>
        </p>
      ))}
      <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
    </form>
  );
}

function App() {
  const { add } = useActions();
  return (
    <main>
      <h1>{useStatus()}</h1>
      <p>
        Here:{' '}
        {usePresence()
          .map(({ userId }) => userId)
          .join(', ')}
      </p>
      <ul>
        {useObjectIds().map((id) => (
          <Item key={id} id={id} />
        ))}
      </ul>
      <button type="button" onClick={() => add('Chair')}>
        Add a chair
      </button>
      <Chat />
    </main>
  );
}

createRoot(document.getElementById('root')).render(
  <WorldProvider world={world}>
    <App />
  </WorldProvider>,
);
