"""Pictures with moderngl on a software renderer (EGL).

The camera of a clip stands still, so the room is rasterised once into four textures: position,
ambient and window light, lamp light with the shadows of the furniture, and the light of a
television. A frame then costs a pass over the tiles of the picture that the lamp's shadow or the
contact shade of what moves can reach (all tiles where the light changes), and drawing what moves. A
second, small pass says for each pixel how far away it is,
where it was a frame before and whose it is.

The id of a vertex goes into the picture's alpha: 1 a person, .25 another thing that moves, .05 one
that shines by itself.
"""
import moderngl
import numpy as np

STRIDE = 13  # floats a vertex: position 3, normal 3, uv 2, colour 3, texture layer or pattern, id

VERTEX = """#version 330
in vec3 p; in vec3 n; in vec2 uv; in vec3 c; in float l; in float id; uniform mat4 VP;
out vec3 wp; out vec3 wn; out vec2 t; out vec3 col; flat out float layer; flat out float ident;
void main() { wp = p; wn = n; t = uv; col = c; layer = l; ident = id; gl_Position = VP * vec4(p, 1); }"""

LIGHT = """
uniform vec3 lamp_pos; uniform vec3 lamp_dir; uniform vec3 lamp_col; uniform float lamp_cos; uniform vec3 amb; uniform vec3 cam;
uniform vec3 dim; uniform vec3 win; uniform vec3 win_col; uniform mat4 LP; uniform vec3 tv_pos; uniform vec3 tv_dir; uniform float ir;
uniform float sky;
float shade(sampler2DShadow s, vec3 wp, float bias) {
  vec4 q = LP * vec4(wp, 1); vec3 u = q.xyz / q.w; if (q.w < 0. || any(lessThan(u.xy, vec2(0))) || any(greaterThan(u.xy, vec2(1)))) return 1.;
  float r = 0.; for (int i = 0; i < 4; i++) r += .25 * texture(s, vec3(u.xy + (vec2(i & 1, i >> 1) - .5) * 1.6 / float(textureSize(s, 0).x), u.z - bias));
  return r; }
vec3 soft(vec3 wp, vec3 N, vec3 a) {
  vec3 wd = win - wp; float d2 = dot(wd, wd); float nw = max(dot(N, wd * inversesqrt(d2)) * .7 + .3, 0.) * 6. / (3. + d2);
  vec3 e = min(dim * vec3(.5, .5, 1.) - vec3(abs(wp.xy), wp.z), vec3(9));
  float ao = smoothstep(-.25, .55, e.x) * smoothstep(-.25, .55, e.y) * smoothstep(-.3, .5, wp.z) * smoothstep(-.3, .5, e.z);
  ao = mix(.5, 1., ao);
  return a * ao * (amb * mix(vec3(.62, .56, .5), vec3(1., 1., 1.02), N.z * .5 + .5) + win_col * nw); }
vec3 glow(vec3 wp, vec3 N, vec3 a) {
  vec3 L = tv_pos - wp; float d2 = dot(L, L); L *= inversesqrt(d2);
  return a * (max(dot(N, L), 0.) * max(dot(-L, tv_dir) * .8 + .2, 0.) * 2.2 / (.25 + d2) + .03); }
vec3 direct(vec3 wp, vec3 N, vec3 a) {
  vec3 L = lamp_pos - wp; float d2 = dot(L, L); L *= inversesqrt(d2); vec3 H = normalize(L + normalize(cam - wp));
  return (a * max(dot(N, L), 0.) * 9. / (4. + d2) + pow(max(dot(N, H), 0.), 30.) * .08) * smoothstep(lamp_cos, lamp_cos + .3, dot(-L, lamp_dir)) * lamp_col; }
vec3 tone(vec3 r) { r = r / (1. + r * .35); return pow(r, vec3(1. / 2.2)); }
"""

ROOM_FRAGMENT = """#version 330
in vec3 wp; in vec3 wn; in vec2 t; in vec3 col; flat in float layer; flat in float ident;
uniform sampler2DArray tex; uniform sampler2DShadow s0;
layout(location=0) out vec4 o_pos; layout(location=1) out vec4 o_soft; layout(location=2) out vec4 o_direct;
layout(location=3) out vec4 o_glow;
""" + LIGHT + """
void main() {
  vec3 N = normalize(wn), V = cam - wp;
  if (dot(N, V) < 0.) { if (ident < 9.) discard; N = -N; }
  vec3 a = col; if (layer >= 0.) a *= texture(tex, vec3(t, layer)).rgb;
  a *= a; a = mix(a, vec3(.3 + .6 * dot(a, vec3(.5, .35, .15))), ir);
  if (ident == 5.) { o_soft = vec4(a * 3. * sky * (1. - ir), 1); o_direct = vec4(0); o_glow = vec4(0); }
  else { o_soft = vec4(soft(wp, N, a), 1); o_direct = vec4(direct(wp, N, a) * shade(s0, wp + N * .03, .0006), 1);
    o_glow = vec4(glow(wp, N, a), 1); }
  o_pos = vec4(wp, 1); }"""

QUAD_VERTEX = "#version 330\nin vec2 q; void main() { gl_Position = vec4(q, 0, 1); }"

FRAME_FRAGMENT = """#version 330
uniform sampler2D P; uniform sampler2D S; uniform sampler2D D; uniform sampler2D G; uniform sampler2DShadow s1; uniform mat4 VP;
uniform vec3 tv_col; uniform vec4 occ[24]; uniform int nocc; uniform float k_soft; uniform float k_direct; out vec4 o;
""" + LIGHT + """
void main() { ivec2 px = ivec2(gl_FragCoord.xy); vec4 g = texelFetch(P, px, 0);
  if (g.w < .5) { o = vec4(.75, .82, .9, 0); gl_FragDepth = 1.; return; }
  vec3 d = texelFetch(D, px, 0).rgb; float sh = 1.; if (d.r + d.g + d.b > .01) sh = shade(s1, g.xyz, .0008);
  float oc = 1.; for (int i = 0; i < nocc; i++) { vec3 v = occ[i].xyz - g.xyz; float dd = dot(v, v); oc *= 1. - clamp(occ[i].w * occ[i].w / dd * .7 - .012, 0., .6); }
  o = vec4(tone(texelFetch(S, px, 0).rgb * k_soft * oc + d * sh * k_direct TELEVISION), 0);
  vec4 c = VP * vec4(g.xyz, 1); gl_FragDepth = c.z / c.w * .5 + .5; }"""

PERSON_FRAGMENT = """#version 330
in vec3 wp; in vec3 wn; in vec2 t; in vec3 col; flat in float layer; flat in float ident;
uniform sampler2DShadow s0; uniform sampler2DShadow s1; uniform float k_soft; uniform float k_direct; uniform vec3 accent; uniform vec3 tv_col; out vec4 o;
""" + LIGHT + """
void main() { vec3 N = normalize(wn); vec3 V = cam - wp; if (dot(N, V) < 0.) N = -N;
  if (ident < .1) { o = vec4(col, ident); return; }
  vec3 a = col; float m = 0.;
  if (layer > .5 && layer < 1.5) m = step(.5, fract(t.y * 14.));
  else if (layer > 1.5 && layer < 2.5) m = step(.5, fract(t.x * 16.));
  else if (layer > 2.5 && layer < 3.5) m = .35 * (step(.5, fract(t.y * 10.)) + step(.5, fract(t.x * 10.)));
  else if (layer > 3.5) m = step(.82, fract(sin(dot(floor(t * 22.), vec2(12.98, 78.23))) * 43758.5));
  a = mix(a, accent, m); a *= a; a = mix(a, vec3(.3 + .6 * dot(a, vec3(.5, .35, .15))), ir);
  float sh = min(shade(s0, wp, .002), shade(s1, wp + N * .02, .002));
  o = vec4(tone(soft(wp, N, a) * k_soft * 1.05 + direct(wp, N, a) * sh * k_direct + glow(wp, N, a) * tv_col), ident); }"""

PLACE_VERTEX = """#version 330
in vec3 p; in vec3 pp; uniform mat4 VP; uniform mat4 VP0; out vec3 wp; out vec4 was;
void main() { wp = p; was = VP0 * vec4(pp, 1); gl_Position = VP * vec4(p, 1); }"""
PLACE_FRAGMENT = """#version 330
in vec3 wp; in vec4 was; uniform vec3 cam; uniform float who; out vec4 o;
void main() { o = vec4(was.xy / was.w, distance(wp, cam), who); }"""
PLACE_ROOM = """#version 330
uniform sampler2D P; uniform mat4 VP; uniform mat4 VP0; uniform vec3 cam; uniform int step; out vec4 o;
void main() { vec4 g = texelFetch(P, ivec2(gl_FragCoord.xy) * step + step / 2, 0);
  if (g.w < .5) { o = vec4(0, 0, 99, 0); gl_FragDepth = 1.; return; }
  vec4 c = VP * vec4(g.xyz, 1), b = VP0 * vec4(g.xyz, 1); o = vec4(b.xy / b.w, distance(g.xyz, cam), 0); gl_FragDepth = c.z / c.w * .5 + .5; }"""

SHADOW_VERTEX = "#version 330\nin vec3 p; uniform mat4 LP; void main() { gl_Position = LP * vec4(p, 1); }"
SHADOW_FRAGMENT = "#version 330\nvoid main() {}"


def look_at(eye, at, up=(0, 0, 1)):
    eye = np.asarray(eye, float)
    f = np.asarray(at) - eye
    f /= np.linalg.norm(f)
    s = np.cross(f, up)
    s /= np.linalg.norm(s)
    m = np.eye(4)
    m[0, :3], m[1, :3], m[2, :3] = s, np.cross(s, f), -f
    m[:3, 3] = -m[:3, :3] @ eye
    return m


def perspective(vertical_deg, aspect, near=.1, far=30.):
    t = 1 / np.tan(np.radians(vertical_deg) / 2)
    m = np.zeros((4, 4))
    m[0, 0], m[1, 1] = t / aspect, t
    m[2, 2], m[2, 3], m[3, 2] = (far + near) / (near - far), 2 * far * near / (near - far), -1
    return m


def coarse(points, tris, cell=.035):
    """Vertices that stand for all within a cell of so many m, and the triangles left between them."""
    key = np.floor(points / cell).astype("i8") @ [1, 1 << 20, 1 << 40]
    _, pick, group = np.unique(key, return_index=True, return_inverse=True)
    t = group.reshape(-1)[tris]
    t = t[(t[:, 0] != t[:, 1]) & (t[:, 1] != t[:, 2]) & (t[:, 0] != t[:, 2])]
    return pick, np.unique(t, axis=0)


TILE = 16  # samples a side
REACH = (.7 / .012) ** .5  # radii of a sphere within which it shades others
GRID = 56  # cells a side of the depth and flow fields, whatever the picture's shape


class Renderer:
    """Renders w x h pictures, supersampled ss times in each direction."""

    context = None  # one for all: with several, calls would go to whichever was made current last

    def __init__(self, w, h, ss=2, shadow=768):
        if Renderer.context is None:
            Renderer.context = moderngl.create_standalone_context(backend="egl")
        c = self.context
        self.w, self.h, self.ss, self.size = w, h, ss, (w * ss, h * ss)
        self.layers = [c.texture(self.size, 4, dtype=d) for d in ("f4", "f2", "f2", "f2")]
        for t in self.layers:
            t.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self.room_target = c.framebuffer(self.layers, c.depth_renderbuffer(self.size))
        self.target, self.base = (c.framebuffer([c.texture(self.size, 4)], c.depth_renderbuffer(self.size)) for _ in range(2))
        self.light_before = self.base_light = None
        self.room_program = c.program(vertex_shader=VERTEX, fragment_shader=ROOM_FRAGMENT)
        self.person_program = c.program(vertex_shader=VERTEX, fragment_shader=PERSON_FRAGMENT)
        plain, lit = (FRAME_FRAGMENT.replace("TELEVISION", t) for t in ("", "+ texelFetch(G, px, 0).rgb * tv_col * oc"))
        self.frame_programs = [c.program(vertex_shader=QUAD_VERTEX, fragment_shader=f) for f in (plain, lit)]  # the first is faster
        self.shadow_program = c.program(vertex_shader=SHADOW_VERTEX, fragment_shader=SHADOW_FRAGMENT)
        self.place_program = c.program(vertex_shader=PLACE_VERTEX, fragment_shader=PLACE_FRAGMENT)
        self.place_room = c.program(vertex_shader=QUAD_VERTEX, fragment_shader=PLACE_ROOM)
        corners = c.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self.quads = [c.vertex_array(p, [(corners, "2f", "q")]) for p in self.frame_programs]
        nx, ny = (-(-n // TILE) for n in self.size)
        x0, y0 = np.meshgrid(np.arange(nx) * TILE, np.arange(ny) * TILE)
        corner = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)]) * TILE
        self.tile_quads = ((np.stack([x0, y0], -1).reshape(-1, 1, 2) + corner) / self.size * 2 - 1).astype("f4")
        self.some = c.buffer(reserve=self.tile_quads.nbytes)
        self.some_tiles = c.vertex_array(self.frame_programs[0], [(self.some, "2f", "q")])
        self.place_quad = c.vertex_array(self.place_room, [(corners, "2f", "q")])
        self.small = (w // 2, h // 2)
        self.place_target = c.framebuffer([c.texture(self.small, 4, dtype="f4")], c.depth_renderbuffer(self.small))
        self.barrel = 0.
        self.shadows = []
        for _ in range(2):
            t = c.depth_texture((shadow, shadow))
            t.compare_func, t.repeat_x, t.repeat_y = "<=", False, False
            self.shadows.append((t, c.framebuffer(depth_attachment=t)))
        self.owned = []

    def arrays(self, program, vertices, index=None):
        layout = [(vertices, "3f 3f 2f 3f 1f 1f", "p", "n", "uv", "c", "l", "id")]
        names = [n for n in layout[0][2:] if n in program]
        formats = " ".join(f if n in program else f"{4 * int(f[0])}x" for f, n in zip(layout[0][1].split(), layout[0][2:]))
        return (self.context.vertex_array(program, [(vertices, formats, *names)], index),
                self.context.vertex_array(self.shadow_program, [(vertices, "3f 40x", "p")], index))

    def set(self, **values):
        for program in (self.room_program, self.person_program, *self.frame_programs, self.shadow_program, self.place_program,
                        self.place_room):
            for k, v in values.items():
                if k in program:
                    if isinstance(v, np.ndarray) and v.shape == (4, 4):
                        program[k].write(v.T.astype("f4").tobytes())
                    else:
                        program[k].value = v

    def load_room(self, vertices, images, light):
        """Upload a room: vertex table [n,13], texture images [k,256,256,3], and its light settings."""
        for o in self.owned:
            o.release()
        c = self.context
        buffer = c.buffer(np.ascontiguousarray(vertices, "f4").tobytes())
        self.room, self.room_shadow = self.arrays(self.room_program, buffer)
        self.texture = c.texture_array((256, 256, len(images)), 3, np.ascontiguousarray(images, "u1").tobytes())
        self.texture.build_mipmaps()
        self.texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self.owned = [buffer, self.room, self.room_shadow, self.texture]
        self.set_light(light)

    def set_light(self, light):
        """Light of the room, and the shadows that its furniture throws; before set_camera."""
        c = self.context
        d = np.asarray(light["target"], float) - light["pos"]
        d /= np.linalg.norm(d)
        lp = perspective(light["cone"], 1, .3, 14) @ look_at(light["pos"], light["target"], (.02, 1, .01))
        bias = np.array([[.5, 0, 0, .5], [0, .5, 0, .5], [0, 0, .5, .5], [0, 0, 0, 1]])
        self.set(lamp_pos=tuple(light["pos"]), lamp_dir=tuple(d), lamp_col=tuple(light["colour"]), amb=tuple(light["ambient"]),
                 lamp_cos=float(np.cos(np.radians(light["cone"] / 2))), win=tuple(light["window"]),
                 win_col=tuple(light["window_colour"]), dim=tuple(light["room"]), tex=0, P=0, S=1, D=2, G=3, s0=4, s1=5,
                 step=2 * self.ss, ir=float(light.get("infrared", 0)), sky=float(light.get("sky", 1)), tv_pos=tuple(light.get("tv", (0, 0, -9))),
                 tv_dir=tuple(light.get("tv_dir", (0, 0, 1))))
        self.lp = bias @ lp
        self.set(LP=self.lp)
        self.shadow_program["LP"].write(lp.T.astype("f4").tobytes())
        c.enable(moderngl.DEPTH_TEST)
        self.shadows[0][1].use()
        self.shadows[0][1].clear(depth=1.)
        self.room_shadow.render()

    def set_camera(self, eye, at, fov, roll=0., barrel=0., up=None, moves=False):
        """Stand the camera (vertical field of view in degrees) and rasterise the room for it.

        barrel: how much larger the picture's middle is shown than a lens without distortion would. up: instead of a
        roll, the direction that is up in the picture. moves: the camera came here from where it stood in the frame before.
        """
        self.barrel = barrel
        self.samplers()
        up = np.array([np.sin(roll), 0, np.cos(roll)]) if up is None else up
        self.eye = np.asarray(eye, float)
        before, self.vp = getattr(self, "vp", None), perspective(fov, self.w / self.h) @ look_at(eye, at, up)
        self.moves = moves
        self.set(VP=self.vp, VP0=before if moves else self.vp, cam=tuple(self.eye))
        self.room_target.use()
        self.room_target.clear(0, 0, 0, 0)
        self.texture.use(0)
        self.shadows[0][0].use(4)
        self.room.render()
        p = np.frombuffer(self.layers[0].read(), "f4").reshape(self.size[1], self.size[0], 4)
        hit = p[..., 3] > .5
        self.tiles = self.boxes_of_tiles(p[..., :3], hit)
        self.light_before = self.base_light = None
        self.distance = np.where(hit, np.linalg.norm(np.where(hit[..., None], p[..., :3], 0) - self.eye, axis=2), 99.)

    def lamp_view(self, points):
        """Lamp picture coordinates in 0..1 of points [..., 3], infinite where they are beside or behind the lamp."""
        q = points @ self.lp[[0, 1, 3], :3].T + self.lp[[0, 1, 3], 3]
        w = q[..., 2:]
        return np.where(w > .1, q[..., :2] / np.maximum(w, .1), np.nan)

    def boxes_of_tiles(self, p, hit):
        """(low, high corner [n,3] of what each tile shows, low, high corner [n,2] of that as the lamp sees it)."""
        rows, cols = np.arange(0, self.size[1], TILE), np.arange(0, self.size[0], TILE)
        fold = lambda f, x: f.reduceat(f.reduceat(x, rows, 0), cols, 1).reshape(-1, 3)
        low = fold(np.minimum, np.where(hit[..., None], p, 1e3))
        high = fold(np.maximum, np.where(hit[..., None], p, -1e3))
        corners = np.stack([np.where(np.array(b), high, low) for b in np.ndindex(2, 2, 2)], 1)
        seen = self.lamp_view(corners)
        unsure = np.isnan(seen).any((1, 2))[:, None]
        a, b = np.where(unsure, -1e3, np.nan_to_num(seen).min(1)), np.where(unsure, 1e3, np.nan_to_num(seen).max(1))
        empty = (low > high).any(1)[:, None]  # beyond the room's walls
        return low, high, np.where(empty, 1e3, a), np.where(empty, -1e3, b)

    def touched(self, meshes, spheres):
        """Which tiles the shadows of meshes or the shades of spheres can reach [n]."""
        low, high, a, b = self.tiles
        out = np.zeros(len(low), bool)
        for x, y, z, radius in spheres:
            gap = np.maximum(np.maximum(low - (x, y, z), (x, y, z) - high), 0)
            out |= (gap ** 2).sum(1) < (REACH * radius) ** 2
        for m in meshes:
            uv = self.lamp_view(m["table"][m["pick"], :3])
            if np.isnan(uv).any():
                return np.ones(len(low), bool)
            out |= ((a < uv.max(0) + .02) & (b > uv.min(0) - .02)).all(1)
        return out

    def warp(self, x, y, back=False):
        """Where the lens shows a point of the undistorted picture (both in 0..1), or `back`: what it shows at a point."""
        if not self.barrel:
            return x, y
        a, b = (x - .5) * self.w, (y - .5) * self.h
        half, k = np.hypot(self.w, self.h) / 2, self.barrel
        rho = np.hypot(a, b) / half
        if back:
            scale = (1 + k * rho ** 2) / (1 + k)
        else:
            d = rho.copy()
            for _ in range(4):  # Newton for d (1 + k d^2) / (1 + k) = rho
                d -= (d * (1 + k * d * d) - rho * (1 + k)) / (1 + 3 * k * d * d)
            scale = np.where(rho > 1e-6, d / np.maximum(rho, 1e-6), 1 + k)
        return .5 + a * scale / self.w, .5 + b * scale / self.h

    def samplers(self):
        """Flat indices: of the ss x ss samples of each pixel, and of the small picture's pixel for each grid cell."""
        def index(x, y, size):
            col = np.clip((x * size[0]).astype(int), 0, size[0] - 1)
            row = np.clip(((1 - y) * size[1]).astype(int), 0, size[1] - 1)  # rows of GL count from below
            return row * size[0] + col
        ss = self.ss
        self.taps = []
        if self.barrel:
            for i in range(ss * ss):
                x = (np.arange(self.w) + (i % ss + .5) / ss) / self.w
                y = (np.arange(self.h) + (i // ss + .5) / ss) / self.h
                self.taps.append(index(*self.warp(*np.meshgrid(x, y), back=True), self.size))
        cells = (np.arange(GRID) + .5) / GRID
        self.cell = index(*self.warp(*np.meshgrid(cells, cells), back=True), self.small)

    def project(self, points):
        """Picture coordinates x, y in 0..1 (y down) and depth w of world points [n,3]."""
        q = np.c_[points, np.ones(len(points))] @ self.vp.T
        w = np.maximum(q[:, 3], 1e-3)
        return (*self.warp(q[:, 0] / w * .5 + .5, .5 - q[:, 1] / w * .5), q[:, 3])

    def visible(self, points, slack=.12, distance=None):
        """Which points are inside the picture and not behind the room's furniture (slack in m).

        distance: another picture of distances in m [h,w] from below, of any size, as places() gives.
        """
        distance = self.distance if distance is None else distance
        q = np.c_[points, np.ones(len(points))] @ self.vp.T
        w = np.maximum(q[:, 3], 1e-3)
        x, y = q[:, 0] / w * .5 + .5, .5 - q[:, 1] / w * .5
        inside = (q[:, 3] > .1) & (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        col = np.clip((x * distance.shape[1]).astype(int), 0, distance.shape[1] - 1)
        row = np.clip(((1 - y) * distance.shape[0]).astype(int), 0, distance.shape[0] - 1)
        return inside & (np.linalg.norm(points - self.eye, axis=1) < distance[row, col] + slack)

    def mesh(self, vertices, tris):
        """A moving mesh: vertex table [n,13] to be rewritten each frame. A heavy one has a coarse one for places()."""
        a, c = np.array(vertices, "f4"), self.context
        buffer = c.buffer(a.tobytes())
        index = c.buffer(np.ascontiguousarray(tris, "i4").tobytes())
        pick, few = coarse(a[:, :3], np.asarray(tris)) if len(tris) > 3000 else (np.arange(len(a)), np.asarray(tris))
        now, before = (c.buffer(reserve=12 * len(pick)) for _ in range(2))
        few = c.buffer(np.ascontiguousarray(few, "i4").tobytes())
        place = c.vertex_array(self.place_program, [(now, "3f", "p"), (before, "3f", "pp")], few)
        return dict(table=a, arrays=(*self.arrays(self.person_program, buffer, index), place), buffer=buffer, now=now, before=before,
                    owned=(buffer, index, now, before, few), pick=pick, last=None, accent=(1, 1, 1), who=0)

    def drop(self, mesh):
        for o in (*mesh["arrays"], *mesh["owned"]):
            o.release()

    def frame(self, meshes=(), spheres=(), soft=1., direct=1., tv=(0, 0, 0)):
        """One picture: rgb f4 [h,w,3] in 0..255 and person share [h,w] in 0..1."""
        c = self.context
        c.enable(moderngl.DEPTH_TEST)
        for m in meshes:
            m["buffer"].write(m["table"].tobytes())
        self.shadows[1][1].use()
        self.shadows[1][1].clear(depth=1.)
        self.keep_base((float(soft), float(direct), *map(float, tv)))
        self.shadows[1][1].use()
        for m in meshes:
            m["arrays"][1].render()
        o = np.zeros((24, 4), "f4")
        spheres = np.array(spheres, "f4").reshape(-1, 4)[:24]
        o[:len(spheres)] = spheres
        light = (float(soft), float(direct), *map(float, tv))
        lit = int(np.sum(tv) > 0)
        self.frame_programs[lit]["occ"].write(o.tobytes())
        self.set(nocc=len(spheres), k_soft=light[0], k_direct=light[1], tv_col=light[2:])
        for i, t in enumerate(self.layers):
            t.use(i)
        self.shadows[0][0].use(4)
        self.shadows[1][0].use(5)
        self.target.use()
        c.depth_func = "1"  # always: the pass writes the room's depth
        if self.base_light == light:
            c.copy_framebuffer(self.target, self.base)
            self.target.use()
            tiles = self.tile_quads[self.touched(meshes, spheres)]
            if len(tiles):
                self.some.write(tiles.tobytes())
                self.some_tiles.render(vertices=6 * len(tiles))
        else:
            self.quads[lit].render()
        c.depth_func = "<"
        for m in meshes:
            self.person_program["accent"].value = tuple(m["accent"])
            m["arrays"][0].render()
        x = np.frombuffer(self.target.read(components=4), "u1")
        s = self.ss
        if self.barrel:
            x = x.view("u4")
            y = sum(x[k].view("u1").reshape(self.h, self.w, 4).astype("u2") for k in self.taps).astype("f4") / (s * s)
        else:
            x = x.reshape(self.size[1], self.size[0], 4)[::-1]
            y = sum(x[i::s, j::s].astype("u2") for i in range(s) for j in range(s)).astype("f4") / (s * s)
        return y[..., :3], y[..., 3] / 255

    def keep_base(self, light):
        """Keep the picture of the empty room once the light has been the same for two frames; nothing throws shadows yet."""
        steady, self.light_before = light == self.light_before, light
        if not steady or light == self.base_light or sum(light[2:]) > 0:
            return
        c, self.base_light = self.context, light
        self.set(nocc=0, k_soft=light[0], k_direct=light[1])
        for i, t in enumerate(self.layers):
            t.use(i)
        self.shadows[0][0].use(4)
        self.shadows[1][0].use(5)
        self.base.use()
        c.depth_func = "1"
        self.quads[0].render()
        c.depth_func = "<"

    def places(self, meshes):
        """After frame(): where things are, on GRID x GRID cells spread over the picture.

        Returns distance in m from the camera [G,G]; flow [G,G,2] = how far what is seen has come since the call before, in
        pixels of the picture (x right, y down); who [G,G] = the mesh's number, 0 the room; and the distances of the
        undistorted picture for visible().
        """
        c = self.context
        for m in meshes:
            now = m["table"][m["pick"], :3]
            m["now"].write(now.tobytes())
            m["before"].write((now if m["last"] is None else m["last"]).tobytes())
            m["last"] = now
        self.place_target.use()
        self.place_target.clear(0, 0, 99, 0, depth=1.)
        self.layers[0].use(0)
        c.depth_func = "1"
        self.place_quad.render()
        c.depth_func = "<"
        for m in meshes:
            self.place_program["who"].value = float(m["who"])
            m["arrays"][2].render()
        x = np.frombuffer(self.place_target.read(components=4, dtype="f4"), "f4").reshape(-1, 4)
        distance = x[:, 2].reshape(self.small[1], self.small[0])
        cell = x[self.cell]
        flow = np.zeros((GRID, GRID, 2), "f4")
        moved = cell[..., 2] < 99 if self.moves else cell[..., 3] > 0
        if moved.any():
            row, col = np.divmod(self.cell[moved], self.small[0])  # the centres of the very pixels that were read
            now = self.warp((col + .5) / self.small[0], 1 - (row + .5) / self.small[1])
            was = self.warp(cell[moved, 0] * .5 + .5, .5 - cell[moved, 1] * .5)
            flow[moved, 0], flow[moved, 1] = (now[0] - was[0]) * self.w, (now[1] - was[1]) * self.h
        return cell[..., 2], flow, cell[..., 3].astype("i1"), distance
