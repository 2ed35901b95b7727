"""A WHEP viewer on aiortc, a WebRTC stack of its own: decodes frames and writes the last one.

    python aiortc_whep.py URL PIXELS FRAMES

PIXELS receives the last of FRAMES frames as RGBA8. Prints one JSON line.
"""

import asyncio
import json
import sys
import urllib.request

import numpy
from aiortc import RTCPeerConnection, RTCSessionDescription


def post(url, sdp):
    request = urllib.request.Request(
        url, data=sdp.encode(), headers={"Content-Type": "application/sdp"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.headers["Location"], response.read().decode()


def delete(url):
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10) as response:
        return response.status


def to_rgba(frame):
    """BT.709 limited range to RGB by the formulas of ITU-R BT.709, not by the decoder's guess."""
    planes = frame.to_ndarray(format="yuv420p").astype(numpy.float32)
    height, width = frame.height, frame.width
    flat = planes.reshape(-1)
    y = (flat[: width * height].reshape(height, width) - 16) / 219
    chroma = flat[width * height :].reshape(2, height // 2, width // 2)
    u, v = ((plane.repeat(2, 0).repeat(2, 1) - 128) / 224 for plane in chroma)
    red = y + 1.5748 * v
    blue = y + 1.8556 * u
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    rgba = numpy.stack([red, green, blue, numpy.ones_like(red)], axis=-1)
    return (rgba * 255).round().clip(0, 255).astype(numpy.uint8)


async def main(url, pixels, frames):
    connection = RTCPeerConnection()
    connection.addTransceiver("video", direction="recvonly")
    track = asyncio.get_running_loop().create_future()

    @connection.on("track")
    def on_track(received):
        if received.kind == "video" and not track.done():
            track.set_result(received)

    await connection.setLocalDescription(await connection.createOffer())
    status, location, answer = await asyncio.to_thread(
        post, f"{url}/whep", connection.localDescription.sdp
    )
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    video = await asyncio.wait_for(track, 10)
    times = []
    for _ in range(frames):
        frame = await asyncio.wait_for(video.recv(), 20)
        times.append(frame.pts)
    with open(pixels, "wb") as out:
        out.write(to_rgba(frame).tobytes())
    deleted = await asyncio.to_thread(delete, url + location)
    await connection.close()
    print(
        json.dumps(
            {
                "status": status,
                "deleted": deleted,
                "width": frame.width,
                "height": frame.height,
                "increasing": all(a < b for a, b in zip(times, times[1:])),
                "ticks": times[-1] - times[0],
            }
        )
    )


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
