// A world in three.js: each object is a box that everybody sees move. Drag an object; N adds one; Delete removes the one that you dragged last.
import * as THREE from 'three';
import { connect, createId } from 'worldkeep/client';

const { url, space, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const world = connect({ url, space, token });

const scene = new THREE.Scene().add(new THREE.HemisphereLight(0xffffff, 0x334455, 3));
scene.background = new THREE.Color(0x88aacc);
const camera = new THREE.PerspectiveCamera(60, innerWidth / innerHeight, 0.1, 1000);
camera.position.set(0, 6, 12);
camera.lookAt(0, 0, 0);
const renderer = new THREE.WebGLRenderer({ antialias: true });
renderer.setSize(innerWidth, innerHeight);
document.body.append(renderer.domElement);

const shapes = new Map();
const box = new THREE.BoxGeometry();

// Objects enter, change and leave. Your own changes come before the server has them.
world.objects.on('enter', (object) => {
  const shape = new THREE.Mesh(box, new THREE.MeshStandardMaterial());
  shape.name = object.id;
  shape.position.copy(object.position);
  shapes.set(object.id, shape);
  scene.add(shape);
  show(object);
});
world.objects.on('change', show);
world.objects.on('leave', ({ id }) => {
  scene.remove(shapes.get(id));
  shapes.delete(id);
});
function show({ id, position, rotation, scale, properties }) {
  const shape = shapes.get(id);
  shape.material.color.set(properties.color ?? 'white');
  shape.scale.copy(scale);
  shape.userData = { position, rotation: new THREE.Quaternion().copy(rotation) };
}
world.on('status', (status) => {
  document.title = `${space}: ${status}`;
});

// Between two changes, shapes glide to their places.
renderer.setAnimationLoop(() => {
  for (const { position, quaternion, userData } of shapes.values()) {
    position.lerp(userData.position, 0.2);
    quaternion.slerp(userData.rotation, 0.2);
  }
  renderer.render(scene, camera);
});

let id; // of the object that was dragged last
const aim = ({ clientX, clientY }) => {
  const ray = new THREE.Raycaster();
  ray.setFromCamera({ x: (clientX / innerWidth) * 2 - 1, y: 1 - (clientY / innerHeight) * 2 }, camera);
  return ray;
};
addEventListener('pointerdown', (event) => {
  id = aim(event).intersectObjects([...shapes.values()])[0]?.object.name;
});
addEventListener('pointermove', (event) => {
  const object = world.objects.get(id);
  if (event.buttons === 0 || object === undefined) return;
  const floor = new THREE.Plane(new THREE.Vector3(0, 1, 0), -object.position.y);
  const position = aim(event).ray.intersectPlane(floor, new THREE.Vector3());
  if (position !== null) world.move(id, { position });
});
addEventListener('keydown', ({ key }) => {
  const position = { x: Math.random() * 8 - 4, y: 0, z: Math.random() * 4 - 2 };
  if (key === 'n') world.put(createId(), { position, properties: { color: 'tomato' } });
  if (key === 'Delete' && world.objects.has(id)) world.delete(id);
});
