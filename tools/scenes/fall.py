"""Falls: a MuJoCo ragdoll built from the body's own joints, started from any pose."""
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from body import INDEX, NEXT, PARENT, PARTS

RADIUS = dict(thigh=.07, shin=.05, foot=.04, uarm=.045, farm=.038, hand=.03)
MASS = dict(thigh=8, shin=3.5, foot=1, uarm=2.2, farm=1.3, hand=.5)
#        range deg, stiffness N m/rad, damping N m s/rad
BALL = dict(chest=(45, 40, 8), head=(50, 8, 1.5), thigh=(95, 12, 5), foot=(70, 2, 1), uarm=(110, 3, 1.2),
            hand=(30, 2, .3))


def model_xml(joints, boxes):
    """MJCF text: 15 bodies (masses in kg), a floor, and boxes (centre, half sizes, yaw degrees)."""
    j = {p: joints[INDEX[p]] for p in PARTS}
    text = lambda a: " ".join(f"{x:.4f}" for x in a)
    end = dict(chest=j["head"], head=j["head"] + [0, 0, .2], pelvis=j["chest"])
    for s in "lr":
        end[s + "foot"] = j[s + "foot"] + [0, -.15, -.04]
        end[s + "hand"] = j[s + "hand"] + (j[s + "hand"] - j[s + "farm"]) * .45
    end.update({p: j[c] for p, c in NEXT.items()})

    def tree(p):
        up = PARENT[p]
        key = p if p in ("pelvis", "chest", "head") else p[1:]
        e = end[p] - j[p]
        if p == "pelvis":
            geom = ('<geom type="capsule" fromto="-.07 0 0 .07 0 0" size=".11" mass="13"/>'
                    '<geom type="capsule" fromto="0 0 0 0 0 .1" size=".105" mass="6"/>')
            joint = '<freejoint name="pelvis"/>'
        elif p == "chest":
            geom = (f'<geom type="capsule" fromto="0 0 .03 0 0 {e[2] - .14:.3f}" size=".12" mass="16"/>'
                    f'<geom type="capsule" fromto="-.1 0 {e[2] - .12:.3f} .1 0 {e[2] - .12:.3f}" size=".075" mass="6"/>')
        elif p == "head":
            geom = '<geom type="sphere" pos="0 -.02 .13" size=".105" mass="5"/>'
        else:
            geom = f'<geom type="capsule" fromto="0 0 0 {text(e * .92)}" size="{RADIUS[key]}" mass="{MASS[key]}"/>'
        if key in BALL:
            r, k, d = BALL[key]
            joint = f'<joint name="{p}" type="ball" range="0 {r}" stiffness="{k}" damping="{d}"/>'
        elif key == "shin":
            joint = f'<joint name="{p}" type="hinge" axis="1 0 0" range="0 140" damping="4" stiffness="6"/>'
        elif key == "farm":
            axis = np.cross(e / np.linalg.norm(e), [0, -1, 0])
            joint = f'<joint name="{p}" type="hinge" axis="{text(axis)}" range="0 140" damping="1" stiffness="2"/>'
        children = "".join(tree(c) for c in PARTS if PARENT[c] == p)
        offset = j[p] - (j[up] if up else 0)
        return f'<body name="{p}" pos="{text(offset)}">{joint}{geom}{children}</body>'

    pairs = [(p, PARENT[p]) for p in PARTS if PARENT[p]] + [("rthigh", "lthigh"), ("pelvis", "rshin"),
             ("pelvis", "lshin"), ("luarm", "pelvis"), ("ruarm", "pelvis"), ("luarm", "head"), ("ruarm", "head")]
    exclude = "".join(f'<exclude body1="{a}" body2="{b}"/>' for a, b in pairs)
    solid = "".join(f'<geom type="box" pos="{text(c)}" size="{text(h)}" euler="0 0 {yaw:.1f}"/>' for c, h, yaw in boxes)
    return (f'<mujoco><compiler autolimits="true"/><option timestep="0.004" integrator="implicitfast"/>'
            f'<default><geom friction="0.9 .02 .002" condim="3" solref="0.02 1"/></default><worldbody>'
            f'<geom type="plane" size="9 9 .1"/>{solid}{tree("pelvis")}</worldbody><contact>{exclude}</contact></mujoco>')


def ragdoll_fall(body, rotations, positions, push, velocity, boxes, rng, fps, longest=3.2):
    """Simulate from a pose until rest; yields (rotations, joint positions, still falling) per frame.

    push: velocity change in m/s given to the chest over the first quarter second. The muscles are
    stiff at first and give way while toppling, so that people fold rather than tip like boards.
    """
    model = mujoco.MjModel.from_xml_string(model_xml(body.joints, boxes))
    data = mujoco.MjData(model)
    name = lambda p: mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, p)
    quat = lambda r: Rotation.from_matrix(r).as_quat()[[3, 0, 1, 2]]
    data.qpos[:3] = positions[0] + [0, 0, .005]
    data.qpos[3:7] = quat(rotations[0])
    data.qvel[:3] = velocity
    for p in PARTS[1:]:
        k = model.jnt_qposadr[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, p)]
        relative = rotations[INDEX[PARENT[p]]].T @ rotations[INDEX[p]]
        if p[1:] in ("shin", "farm"):
            axis = model.jnt_axis[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, p)]
            data.qpos[k] = np.clip(Rotation.from_matrix(relative).as_rotvec() @ axis, .02, 2.3)
            model.qpos_spring[k] = rng.uniform(.3, 1.1) if p[1:] == "shin" else rng.uniform(.3, 1.2)
        else:
            data.qpos[k:k + 4] = quat(relative)
            if p[1:] == "uarm":  # arms reach out a little
                relative = relative @ Rotation.from_rotvec([-rng.uniform(0, 1.), 0, rng.normal(0, .3)]).as_matrix()
            elif p[1:] == "thigh":
                relative = Rotation.from_rotvec([-rng.uniform(0, .7), 0, 0]).as_matrix()
            model.qpos_spring[k:k + 4] = quat(relative)
    parts, chest = [name(p) for p in PARTS], name("chest")
    stiffness, mass = model.jnt_stiffness.copy(), model.body_subtreemass[1]
    tone, give_way = rng.uniform(7, 14), rng.uniform(.2, .45)
    spin = rng.normal(0, 12, 3)
    out, calm, rest = [], 0, None
    for i in range(1, int(longest * fps) + 1):
        while data.time < i / fps:
            data.xfrc_applied[:] = 0
            if data.time < .25:
                data.xfrc_applied[chest, :3] = push * mass / .25 * .5
                data.xfrc_applied[chest, 3:] = spin
            model.jnt_stiffness[:] = stiffness * max(.3, tone * min(1., 1 - (data.time - give_way) / .5))
            mujoco.mj_step(model, data)
        out.append((data.xmat[parts].reshape(-1, 3, 3).copy(), data.xpos[parts].copy()))
        speed = np.linalg.norm(data.cvel[parts][:, 3:], axis=1)[[0, 1, 2]].max()
        calm = calm + 1 if speed < .3 and i > fps * .7 else 0
        if calm == 3 and rest is None:
            rest = i - 3
        if rest is not None and i > rest + fps * .8:
            break
    rest = len(out) if rest is None else rest
    return [(r, p, k < rest) for k, (r, p) in enumerate(out)]
