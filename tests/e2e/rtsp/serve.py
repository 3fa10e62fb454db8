"""An RTSP server that plays clips, by GStreamer's library: what cameras run.

    serve.py [--port PORT] [--user NAME --password PASSWORD [--basic]] PATH=CODEC=CLIP ...

The codec is that of the clip, an MP4 or MOV: h264, mjpeg, or h265. It prints the port once it listens, and ends with its input.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PAYLOADERS = {"h264": "rtph264pay name=pay0 pt=96", "mjpeg": "rtpjpegpay name=pay0 pt=26", "h265": "rtph265pay name=pay0 pt=96"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--basic", action="store_true")
    parser.add_argument("clips", nargs="+", metavar="PATH=CODEC=CLIP")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    permissions = None
    if arguments.user:
        server.set_auth(authority(arguments.user, arguments.password, arguments.basic))
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role("viewer", right, True)
    mounts = server.get_mount_points()
    for clip in arguments.clips:
        path, codec, file = clip.split("=", 2)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f'( filesrc location="{file}" ! qtdemux ! {PAYLOADERS[codec]} )')
        if permissions:
            factory.set_permissions(permissions)
        mounts.add_factory(f"/{path}", factory)
    loop = GLib.MainLoop()
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    # Whoever started it has gone.
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


def authority(user, password, basic):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if basic:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    return auth


if __name__ == "__main__":
    main()
