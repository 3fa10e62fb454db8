"""Where the camera stands, and what its lens, sensor and encoder do to a picture."""
import io
import subprocess

import numpy as np
from PIL import Image, ImageFilter

from render import look_at, perspective


def choose_camera(room, rng, renderer, points, shown, view, tall=.9):
    """Try cameras of a view ("side", "low", "high", "ceiling") on positions [n,3], `shown` or to be hidden.

    tall: the size in m that had better fill a quarter to a half of the height.
    """
    best, w, d, h = None, room.w / 2, room.d / 2, room.h
    within = (np.abs(points[:, 0]) < w) & (np.abs(points[:, 1]) < d)  # beyond a door the wall hides
    centre = points[shown].mean(0) if shown.any() else np.array([0, 0, .8])
    for _ in range(50):
        if view in ("side", "low"):
            wall = rng.choice(["front", "back", "left", "right"], p=[.55, .05, .2, .2])
            along = rng.uniform(-.8, .8) * (w if wall in ("front", "back") else d)
            # From the height of a table to above the head; on a table a camera looks straight on.
            z = rng.uniform(.9, 2.2) if view == "side" else rng.uniform(.62, 1.)
            eye = np.array([*room.wall_point(wall, along, rng.uniform(-1.1, .4)), z])
            fov, tilt = rng.uniform(40, 62), rng.uniform(.55, 1.05)
        elif view == "high":
            eye = np.array([rng.choice([-1, 1]) * (w - rng.uniform(.1, .5)), rng.choice([-1, -1, 1]) * (d - rng.uniform(.1, .5)),
                            rng.uniform(2.1, h - .06)])
            fov, tilt = rng.uniform(52, 80), rng.uniform(.3, .8)
        else:
            eye = np.array([*rng.uniform(-.6, .6, 2), h - .06])
            fov, tilt = rng.uniform(78, 105), 0.
        if renderer.w / renderer.h > 1.5:  # the same picture width for 16:9
            fov *= .78
        at = np.array([*(centre[:2] + rng.normal(0, .35, 2)), tilt])
        if view == "ceiling":
            at[:2] = eye[:2] + [.05, rng.uniform(.1, 1.2)]
        distance = np.hypot(*(eye[:2] - centre[:2]))
        if view in ("side", "low") and not 1.7 * min(1, tall / .9) < distance < 5.6:
            continue
        if any((np.abs(eye[:2] - c) < half + .1).all() and eye[2] < top + .1 for c, half, top, *_ in room.boxes):
            continue
        vp = perspective(fov, renderer.w / renderer.h) @ look_at(eye, at)
        seen = []
        for lift in (-.35, .05, .4, .72):
            q = np.c_[points + [0, 0, lift * tall / .9], np.ones(len(points))] @ vp.T
            seen.append((q[:, 3] > .3) & (np.abs(q[:, 0]) < q[:, 3] * .96) & (np.abs(q[:, 1]) < q[:, 3] * 1.02))
        seen = np.array(seen, float)
        wrong = (seen.max(0) * within)[~shown].mean() if (~shown).any() else 0
        share = tall / (2 * np.tan(np.radians(fov) / 2) * max(.5, np.linalg.norm(eye - centre)))
        wrong += max(0, .25 - share) * 3 + max(0, share - .5)
        score = (seen.mean(0)[shown].mean() if shown.any() else .5) - wrong * .8 + rng.uniform(0, .12)
        if best is None or score > best[0]:
            best = (score, eye, at, fov)
    return best


class Lens:
    """Exposure, white balance, blur, noise, JPEG and jitter of one camera, drawn once a clip.

    dark: mean brightness of the first picture if the room is not lit as in `background`; then, and in some other clips,
    the exposure follows the picture with a lag, as cameras do.
    """

    def __init__(self, rng, background, clean=False, night=False, dark=None):
        self.rng = rng
        u = lambda a, b: rng.uniform(a, b)
        self.target = u(75, 150)
        mean = max(background.mean(), 8.)
        self.gain = np.clip(self.target / mean, .5, 2.2) * (1 + rng.normal(0, .06, 3))
        self.gamma, self.saturation = u(.8, 1.2), u(.5, 1.25)
        self.grey = night or rng.random() < .06
        self.blur = u(.2, .8) if rng.random() < .3 else 0.
        self.noise = u(0, 4) if rng.random() < .7 else u(4, 12)
        self.quality = int(u(35, 95)) if rng.random() < .6 else 0
        self.vignette = u(0, .35) if rng.random() < .4 else 0.
        self.jitter = rng.random() < .06
        # How fast the exposure follows (share of the way a frame at 5 fps; 0 = fixed) and how far it may go.
        self.follow = u(.15, .7) if rng.random() < (.75 if dark is not None else .2) else 0.
        self.reach, self.exposure = u(1.4, 3.2), 1.
        if dark is not None and self.follow:
            self.exposure = float(np.clip(mean / max(dark, 1.), 1, self.reach))
        if night:
            self.noise, self.vignette = max(self.noise, u(2, 7)), u(.2, .6)
            self.gain[:] = np.clip(u(70, 125) / mean, .4, 3.)
        if clean:
            self.gain = np.array([1.02, 1., .98]) * np.clip(140 / mean, .6, 1.8)
            self.gamma, self.saturation, self.noise, self.quality = 1., 1., .6, 0
            self.grey, self.blur, self.vignette, self.jitter, self.follow = False, 0., .12, False, 0.
        h, w = background.shape[:2]
        y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
        self.fall_off = (1 - self.vignette * (x * x + y * y) / 2)[..., None].astype("f4")
        self.grain = rng.normal(0, 1, (h + 64, w + 64, 3)).astype("f4")
        if rng.random() < .5:  # luminance noise mostly
            self.grain = self.grain * .4 + self.grain[..., :1] * .8
        if self.grey:
            self.grain[:] = self.grain[..., :1]

    def __call__(self, x, noisy=True):
        if self.follow and noisy:
            wanted = float(np.clip(self.target / max(x.mean() * self.gain.mean(), 1.), 1 / self.reach, self.reach))
            self.exposure += (wanted - self.exposure) * self.follow
        x = x * (self.gain * self.exposure).astype("f4") * self.fall_off
        grey = x.mean(2, keepdims=True)
        x = np.repeat(grey, 3, 2) if self.grey else grey + (x - grey) * self.saturation
        x = 255 * (np.clip(x, 0, 255) / 255) ** self.gamma
        shift = (0, 0)
        if noisy:
            h, w = x.shape[:2]
            a, b = self.rng.integers(0, 64, 2)
            x = x + self.grain[a:a + h, b:b + w] * (self.noise * max(1., self.exposure) ** .7)
            if self.jitter and self.rng.random() < .5:
                shift = tuple(self.rng.integers(-1, 2, 2))
                x = np.roll(x, shift, (0, 1))
        image = np.clip(x, 0, 255).astype("u1")
        if self.blur or (self.quality and noisy):
            image = Image.fromarray(image)
            if self.blur:
                image = image.filter(ImageFilter.GaussianBlur(self.blur))
            if self.quality and noisy:
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=self.quality)
                image = Image.open(buffer)
            image = np.asarray(image)
        return image, shift


def h264(frames, crf, preset="veryfast", fps=5):
    """The frames u8 [T,h,w,3] after libx264 and back: one thread, so that the same frames give the same bytes."""
    t, h, w, _ = frames.shape
    even = np.pad(frames, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    encode = ["ffmpeg", "-loglevel", "error", *raw, "-s", f"{even.shape[2]}x{even.shape[1]}", "-r", str(fps), "-i", "-", "-c:v", "libx264",
              "-threads", "1", "-preset", preset, "-crf", str(crf), "-pix_fmt", "yuv420p", "-f", "h264", "-"]
    decode = ["ffmpeg", "-loglevel", "error", "-threads", "1", "-f", "h264", "-i", "-", *raw, "-"]
    stream = subprocess.run(encode, input=even.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    out = subprocess.run(decode, input=stream, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, "u1").reshape(even.shape)[:, :h, :w].copy()
