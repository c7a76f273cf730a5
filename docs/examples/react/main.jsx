// Objects, people and messages of a space. Each line renders again only when its own object changes.
import { createRoot } from 'react-dom/client';
import { connect, createId } from 'worldkeep/client';
import { useChat, useObject, useObjectIds, usePresence, useStatus, WorldProvider } from 'worldkeep/react';

const { url, space, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const world = connect({ url, space, token });

function Item({ id }) {
  const object = useObject(id);
  if (object === undefined) return null;
  const { name, position } = object;
  const move = () => world.move(id, { position: { ...position, x: position.x + 1 } });
  return (
    <li>
      {name ?? id} is at {position.x} m
      <button type="button" onClick={move}>
        Move {name ?? id}
      </button>
    </li>
  );
}

function Chat() {
  const { messages, say } = useChat();
  const send = (form) => say(form.get('text'));
  return (
    <form action={send}>
      {messages.map(({ id, userId, text }) => (
        <p key={id}>
          {userId}: <bdi>{text}</bdi>
        </p>
      ))}
      <input name="text" aria-label="Message" />
    </form>
  );
}

function App() {
  const people = usePresence().map(({ userId }) => userId);
  return (
    <main>
      <h1>{useStatus()}</h1>
      <p>Here: {people.join(', ')}</p>
      <ul>
        {useObjectIds().map((id) => (
          <Item key={id} id={id} />
        ))}
      </ul>
      <button type="button" onClick={() => world.put(createId(), { name: 'Chair' })}>
        Add a chair
      </button>
      <Chat />
    </main>
  );
}

const root = createRoot(document.getElementById('root'));
root.render(<WorldProvider world={world} children={<App />} />);
