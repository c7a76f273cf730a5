// A world in three.js: each object is a box that everybody sees move. Click an object to let it jump; press N to add one.
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

// Objects of the world enter, change and leave. The own changes come first, before the server has them.
function show(object) {
  let shape = shapes.get(object.id);
  if (shape === undefined) {
    shape = new THREE.Mesh(box, new THREE.MeshStandardMaterial());
    shape.name = object.id;
    shapes.set(object.id, shape);
    scene.add(shape);
  }
  shape.material.color.set(object.properties.color ?? 'white');
  shape.userData = { object, rotation: new THREE.Quaternion().copy(object.rotation) };
}
function remove({ id }) {
  scene.remove(shapes.get(id));
  shapes.delete(id);
}
world.objects.on('enter', show);
world.objects.on('change', show);
world.objects.on('leave', remove);
world.on('status', (status) => {
  document.title = `${space}: ${status}`;
});

// Between two updates, shapes glide to their places.
renderer.setAnimationLoop(() => {
  for (const shape of shapes.values()) {
    const { object, rotation } = shape.userData;
    shape.position.lerp(object.position, 0.2);
    shape.quaternion.slerp(rotation, 0.2);
    shape.scale.copy(object.scale);
  }
  renderer.render(scene, camera);
});

addEventListener('pointerdown', ({ clientX, clientY }) => {
  const at = new THREE.Vector2((clientX / innerWidth) * 2 - 1, 1 - (clientY / innerHeight) * 2);
  const ray = new THREE.Raycaster();
  ray.setFromCamera(at, camera);
  const id = ray.intersectObjects([...shapes.values()])[0]?.object.name;
  if (id !== undefined) world.move(id, { position: { ...world.objects.get(id).position, y: 2 } });
});
addEventListener('keydown', ({ key }) => {
  const position = { x: Math.random() * 8 - 4, y: 0, z: Math.random() * 4 - 2 };
  if (key === 'n') world.put(createId(), { position, properties: { color: 'tomato' } });
});
