import CameraControls from 'camera-controls';
import {
  ACESFilmicToneMapping,
  BackSide,
  Box3,
  CircleGeometry,
  Color,
  DirectionalLight,
  Fog,
  GridHelper,
  HemisphereLight,
  Matrix4,
  Mesh,
  MeshLambertMaterial,
  PerspectiveCamera,
  Quaternion,
  Raycaster,
  Scene,
  ShaderMaterial,
  Sphere,
  SphereGeometry,
  Spherical,
  Vector2,
  Vector3,
  Vector4,
  WebGLRenderer,
} from 'three';

CameraControls.install({
  THREE: { Vector2, Vector3, Vector4, Quaternion, Matrix4, Spherical, Box3, Sphere, Raycaster },
});

/** How long one picture took. */
export interface FrameTime {
  /** Milliseconds of the page's own code: movements, matrices, marks. */
  updateMs: number;
  /** Milliseconds in which three.js gave the picture to the graphics card. */
  renderMs: number;
  drawCalls: number;
}

/** Called before each picture. @returns whether what it shows has changed */
export type FrameListener = (nowMs: number, deltaSeconds: number) => boolean;

const SKY = { top: new Color('#3c5f96'), horizon: new Color('#e3b389') };
const GROUND = '#4e5a47';
/** Metres. Nothing is shown beyond. */
const FAR = 2_000;
/** Metres around the camera's target in which shadows fall. */
const SHADOW_RADIUS = 30;
/** From the best picture to the fastest one. A canvas smaller than its place on the page is made larger by the browser. */
const QUALITIES = [
  { pixelRatioMax: 2, hasShadows: true },
  { pixelRatioMax: 1, hasShadows: true },
  { pixelRatioMax: 1, hasShadows: false },
  { pixelRatioMax: 0.6, hasShadows: false },
];
/** Milliseconds between two pictures that are too slow, and how many of them in a row. */
const SLOW_MS = 45;
const SLOW_FRAMES = 20;
/** Names of renderers that draw without a graphics card. */
const SOFTWARE = /swiftshader|llvmpipe|software/i;
const FRAMES_KEPT_MAX = 600;

/** The camera, the light, and the loop that draws. It draws only if something has changed. */
export class Stage {
  readonly scene = new Scene();
  readonly camera = new PerspectiveCamera(55, 1, 0.1, FAR * 2);
  readonly controls: CameraControls;
  readonly canvas: HTMLCanvasElement;
  /** The newest pictures, for `figures` of the page and for benchmarks. */
  readonly frames: FrameTime[] = [];
  readonly #renderer: WebGLRenderer;
  readonly #sun = new DirectionalLight('#ffe3c2', 2.6);
  readonly #listeners: FrameListener[] = [];
  readonly #drawn: (() => void)[] = [];
  #isDirty = true;
  #isLost = false;
  #failure: unknown = null;
  #isSteered = false;
  #quality = 0;
  #slowFrames = 0;
  #beforeMs = performance.now();
  readonly #target = new Vector3();

  /** @throws Error if this browser has no WebGL 2 */
  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    const isSlow = isSoftware();
    this.#renderer = new WebGLRenderer({ canvas, antialias: !isSlow, powerPreference: 'high-performance' });
    if (isSlow) this.#quality = QUALITIES.length - 1;
    this.#renderer.toneMapping = ACESFilmicToneMapping;
    this.#renderer.shadowMap.enabled = true;
    this.#renderer.shadowMap.autoUpdate = false;
    this.#renderer.info.autoReset = false;
    this.scene.add(...this.#openSurroundings());
    this.controls = new CameraControls(this.camera, canvas);
    this.controls.minDistance = 0.5;
    this.controls.maxDistance = FAR / 2;
    this.controls.maxPolarAngle = Math.PI * 0.495;
    this.controls.dollyToCursor = true;
    this.controls.addEventListener('controlstart', () => {
      this.#isSteered = true;
    });
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) this.controls.smoothTime = 0;
    void this.controls.setLookAt(14, 9, 18, 0, 1, 0, false);
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener('webglcontextlost', (event) => {
      // Without this, the browser never gives the context back.
      event.preventDefault();
      this.#isLost = true;
    });
    canvas.addEventListener('webglcontextrestored', () => {
      this.#isLost = false;
      this.#isDirty = true;
    });
    this.quality = this.#quality;
    this.#renderer.setAnimationLoop((nowMs) => {
      try {
        this.#draw(nowMs);
        this.#failure = null;
      } catch (error) {
        // The loop goes on, because the next picture may succeed. The console shows only the first of many failures.
        if (this.#failure === null) console.error(error);
        this.#failure = error;
      }
    });
    this.#followPixelRatio();
  }

  /** Why the newest picture was not drawn; null: it was. */
  get failure(): unknown {
    return this.#failure;
  }

  /** A window may move to a screen with other pixels. */
  #followPixelRatio(): void {
    const now = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    const change = () => {
      this.#resize();
      this.#followPixelRatio();
    };
    now.addEventListener('change', change, { once: true });
  }

  /** 0: the best picture. A device that draws too slowly gets a faster one. */
  get quality(): number {
    return this.#quality;
  }

  set quality(quality: number) {
    this.#quality = Math.min(QUALITIES.length - 1, quality);
    this.#sun.castShadow = QUALITIES[this.#quality]?.hasShadows ?? false;
    this.#resize();
  }

  onFrame(listener: FrameListener): void {
    this.#listeners.push(listener);
  }

  /** Called after each picture. */
  onDrawn(listener: () => void): void {
    this.#drawn.push(listener);
  }

  /** A new picture is due. */
  invalidate(): void {
    this.#isDirty = true;
  }

  /** The ray from the eye through a point of the window. */
  aim({ clientX, clientY }: { clientX: number; clientY: number }): Raycaster {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const raycaster = new Raycaster();
    raycaster.setFromCamera(
      new Vector2(((clientX - left) / width) * 2 - 1, 1 - ((clientY - top) / height) * 2),
      this.camera,
    );
    return raycaster;
  }

  /** Where a point of the world is in the window. */
  project(point: Vector3): { x: number; y: number } {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const { x, y } = point.clone().project(this.camera);
    return { x: left + ((x + 1) / 2) * width, y: top + ((1 - y) / 2) * height };
  }

  /** Whether the browser has taken the graphics card away, for example because its driver crashed. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether the person has turned or moved the view. */
  get isSteered(): boolean {
    return this.#isSteered;
  }

  /** Lets the haze begin behind a world of this radius, in metres. */
  setHaze(radius: number): void {
    this.scene.fog = new Fog(SKY.horizon, Math.max(60, radius * 4), Math.max(400, radius * 20));
  }

  /** Shows all of a box, from the side of the sun. */
  lookAt(box: Box3, isSmooth: boolean): void {
    const { center, radius } = box.getBoundingSphere(new Sphere());
    // A camera that is nowhere never comes back.
    if (!Number.isFinite(radius + center.lengthSq())) return;
    const tall = ((this.camera.fov / 2) * Math.PI) / 180;
    const wide = Math.atan(Math.tan(tall) * this.camera.aspect);
    const distance = Math.min(FAR / 2, Math.max(3, radius / Math.sin(Math.min(tall, wide))));
    void this.controls.setLookAt(
      center.x + distance * 0.57,
      center.y + distance * 0.35,
      center.z + distance * 0.74,
      center.x,
      center.y,
      center.z,
      isSmooth,
    );
  }

  #draw(nowMs: number): void {
    const startMs = performance.now();
    const sinceMs = nowMs - this.#beforeMs;
    const deltaSeconds = Math.min(0.1, sinceMs / 1_000);
    this.#beforeMs = nowMs;
    // A tab in the background draws nothing, which is not slow.
    this.#slowFrames = sinceMs > SLOW_MS && sinceMs < 1_000 ? this.#slowFrames + 1 : 0;
    if (this.#slowFrames > SLOW_FRAMES && this.#quality < QUALITIES.length - 1) {
      this.#slowFrames = 0;
      this.quality++;
    }
    if (this.#isLost) return;
    const isMoved = this.controls.update(deltaSeconds);
    let isChanged = this.#isDirty;
    for (const listener of this.#listeners) if (listener(nowMs, deltaSeconds)) isChanged = true;
    if (!isChanged && !isMoved) return;
    this.#isDirty = false;
    this.#shine(isChanged);
    const updatedMs = performance.now();
    this.#renderer.info.reset();
    this.#renderer.render(this.scene, this.camera);
    this.frames.push({
      updateMs: updatedMs - startMs,
      renderMs: performance.now() - updatedMs,
      drawCalls: this.#renderer.info.render.calls,
    });
    if (this.frames.length > FRAMES_KEPT_MAX) this.frames.shift();
    for (const listener of this.#drawn) listener();
  }

  /** Lets the sun follow the camera: shadows are sharp only in a small space. */
  #shine(isChanged: boolean): void {
    this.controls.getTarget(this.#target).round();
    const isNear = this.#sun.target.position.equals(this.#target);
    if (!isNear) {
      this.#sun.target.position.copy(this.#target);
      this.#sun.position.copy(this.#target).add(new Vector3(18, 24, 10));
    }
    if (isChanged || !isNear) this.#renderer.shadowMap.needsUpdate = true;
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    const { pixelRatioMax = 1 } = QUALITIES[this.#quality] ?? {};
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, pixelRatioMax));
    this.#renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.#isDirty = true;
  }

  #openSurroundings() {
    this.setHaze(0);
    const { shadow } = this.#sun;
    this.#sun.castShadow = true;
    shadow.mapSize.set(2_048, 2_048);
    shadow.normalBias = 0.04;
    Object.assign(shadow.camera, {
      left: -SHADOW_RADIUS,
      right: SHADOW_RADIUS,
      top: SHADOW_RADIUS,
      bottom: -SHADOW_RADIUS,
      far: 4 * SHADOW_RADIUS,
    });
    const ground = new Mesh(
      new CircleGeometry(FAR, 64).rotateX(-Math.PI / 2),
      new MeshLambertMaterial({ color: GROUND }),
    );
    ground.position.y = -0.02;
    ground.receiveShadow = true;
    const grid = new GridHelper(200, 100, '#6b7763', '#5b6754');
    grid.position.y = -0.01;
    return [
      this.#sun,
      this.#sun.target,
      new HemisphereLight('#c8d8f4', '#8a7a66', 2.2),
      ground,
      grid,
      openSky(),
    ];
  }
}

/** A dome that is light at the horizon. */
function openSky(): Mesh {
  const material = new ShaderMaterial({
    side: BackSide,
    depthWrite: false,
    fog: false,
    uniforms: { top: { value: SKY.top }, horizon: { value: SKY.horizon } },
    vertexShader: `varying float height;
      void main() {
        height = normalize(position).y;
        gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
      }`,
    fragmentShader: `uniform vec3 top, horizon; varying float height;
      void main() {
        gl_FragColor = vec4(mix(horizon, top, smoothstep(-0.05, 0.6, height)), 1.0);
        #include <tonemapping_fragment>
        #include <colorspace_fragment>
      }`,
  });
  return new Mesh(new SphereGeometry(FAR * 1.5, 32, 16), material);
}

/** Whether this browser draws without a graphics card. */
function isSoftware(): boolean {
  const gl = document.createElement('canvas').getContext('webgl2');
  const names = gl?.getExtension('WEBGL_debug_renderer_info');
  const name = gl && names ? String(gl.getParameter(names.UNMASKED_RENDERER_WEBGL)) : '';
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return SOFTWARE.test(name);
}
