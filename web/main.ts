import { connect } from 'worldkeep/client';

const status = document.querySelector('#status') as HTMLElement;
const link = new URLSearchParams(location.hash.slice(1));
const [space, token] = [link.get('space'), link.get('token')];

if (space === null || token === null) {
  status.textContent = 'Open this page with a link that npx worldkeep link prints.';
} else {
  const world = connect({ url: location.origin, space, token: async () => token });
  const show = () => {
    status.textContent = `${world.objects.size} objects in ${space}`;
  };
  world.objects.on('change', show);
  await world.ready;
  show();
}
