"""OpenGL contexts without a window, and threads that own one.

A back end is chosen by the environment variable `MUJOCO_GL` (`egl`, `osmesa`, `glfw`, `cgl`); without it, EGL on Linux, which needs no
display and no graphics card. It is chosen when the first context is made, so nothing need be set before mujoco is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import os
import platform
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

DEBIAN_PACKAGES = ("libegl1", "libgl1-mesa-dri", "libgles2", "libosmesa6")
"""What makes EGL and OSMesa work on a Debian machine without a display."""

_OFF = ("off", "disable", "disabled", "0", "false")
_MODULES = {"egl": "mujoco.egl", "osmesa": "mujoco.osmesa", "glfw": "mujoco.glfw", "cgl": "mujoco.cgl"}
_lock = threading.Lock()
_LANES = 2
_turns = tuple(threading.Lock() for _ in range(_LANES))
_next_lane = itertools.count()


class GraphicsError(RuntimeError):
    """No picture can be made on this machine as it is set up; the message says what to do."""

    def __init__(self, backend: str, cause: str) -> None:
        super().__init__(
            f"OpenGL does not work here with MUJOCO_GL={backend}: {cause}. Try the other of MUJOCO_GL=egl and MUJOCO_GL=osmesa, and see "
            f"that no PYOPENGL_PLATFORM contradicts it. On Debian and Ubuntu both need: apt-get install {' '.join(DEBIAN_PACKAGES)}. "
            "`vrodent doctor` tells which of them works. Without a picture, use make(..., camera=False)."
        )


def backend() -> str:
    """The back end that `MUJOCO_GL` names, or this platform's default.

    Raises:
        GraphicsError: it names none that exists, or turns graphics off.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if not wanted:
        wanted = {"Linux": "egl", "Darwin": "cgl"}.get(platform.system(), "glfw")
        # MuJoCo's library reads the variable when it loads OpenGL's functions.
        os.environ["MUJOCO_GL"] = wanted
    if wanted in _OFF:
        raise GraphicsError(wanted, "it turns graphics off")
    if wanted not in _MODULES:
        raise GraphicsError(wanted, f"there is no such back end; there are {', '.join(_MODULES)}")
    return wanted


class Context(Protocol):
    """An OpenGL context of ours or of `mujoco.osmesa`, `mujoco.glfw`, `mujoco.cgl`."""

    def make_current(self) -> None: ...

    def free(self) -> None: ...


def make_context(width: int, height: int, lane: int = 0) -> Context:
    """Make a context and make it current on the calling thread.

    Args:
        width, height: of the largest picture, in pixels; only some back ends care.
        lane: contexts of even and of odd lanes rasterise side by side in Mesa's software renderer, which otherwise
            lets one thread of a process rasterise at a time.

    Raises:
        GraphicsError: OpenGL does not work here.
    """
    name = backend()
    # A frame of 64x64 is a single tile, which Mesa's threads cannot share: rasterise on the thread that asks.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        with _lock:
            if name == "egl":
                context: Context = _EglContext(_display(lane % _LANES))
            else:
                context = importlib.import_module(_MODULES[name]).GLContext(width, height)
            context.make_current()
    except Exception as error:  # what PyOpenGL raises depends on which library is missing
        raise GraphicsError(name, f"{type(error).__name__}: {error}") from error
    return context


def opengl() -> Any:
    """PyOpenGL's functions, for the platform that the first context decided on."""
    return importlib.import_module("OpenGL.GL")


_PLATFORM_SURFACELESS_MESA = 0x31DD
_displays: list[Any] = []


def _display(lane: int) -> Any:
    """The device's display, or for lane 1 Mesa's surfaceless one, whose software renderer has a lock of its own."""
    from mujoco import egl as mujoco_egl
    from OpenGL import error

    egl = mujoco_egl.EGL
    if not _displays:
        first = mujoco_egl.create_initialized_egl_device_display()
        if first == egl.EGL_NO_DISPLAY:
            raise ImportError("EGL finds no device to draw with")
        second = first
        if "MUJOCO_EGL_DEVICE_ID" not in os.environ:
            with contextlib.suppress(error.GLError):  # not Mesa
                display = egl.eglGetPlatformDisplayEXT(_PLATFORM_SURFACELESS_MESA, None, None)
                second = display if egl.eglInitialize(display, None, None) else first
        _displays[:] = first, second
    return _displays[lane]


class _EglContext:
    """As `mujoco.egl.GLContext`, on a given display, and silent when the interpreter ends."""

    def __init__(self, display: Any) -> None:
        from mujoco import egl as mujoco_egl

        self._egl = egl = mujoco_egl.EGL
        self._display = display
        count, configs = ctypes.c_long(), (egl.EGLConfig * 1)()
        egl.eglReleaseThread()
        egl.eglChooseConfig(display, mujoco_egl.EGL_ATTRIBUTES, configs, 1, count)
        if count.value < 1:
            raise RuntimeError("EGL has no framebuffer of 8 bits a colour, 24 bits of depth and 8 of stencil")
        egl.eglBindAPI(egl.EGL_OPENGL_API)
        self._context = egl.eglCreateContext(display, configs[0], egl.EGL_NO_CONTEXT, None)

    def make_current(self) -> None:
        egl = self._egl
        egl.eglMakeCurrent(self._display, egl.EGL_NO_SURFACE, egl.EGL_NO_SURFACE, self._context)

    def free(self) -> None:
        egl, context, self._context = self._egl, self._context, None
        if context:
            egl.eglMakeCurrent(self._display, egl.EGL_NO_SURFACE, egl.EGL_NO_SURFACE, egl.EGL_NO_CONTEXT)
            egl.eglDestroyContext(self._display, context)
            egl.eglReleaseThread()


class GlThread:
    """A thread with a context of its own, which runs what it is given, one after another.

    OpenGL contexts belong to the thread that made them; the simulation may be called from any. Threads are dealt out to lanes, see
    `make_context`, and those of one lane take turns: Mesa's software renderer, before it writes a texture or a buffer, looks through what
    all contexts of its display are drawing, and walks over lists that another thread is freeing (`lp_scene_is_resource_referenced`, Mesa
    22.3; it killed runs of several cameras after minutes). It lets one of them rasterise at a time anyway.
    """

    def __init__(self, name: str) -> None:
        self.lane = next(_next_lane) % _LANES
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run a job there; the future carries its result or its exception."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def call(self, job: Callable[[], T]) -> T:
        """Run a job there and wait for its result."""
        return self.submit(job).result()

    def stop(self) -> None:
        """End the thread after the jobs that it has been given."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            future, job = item
            try:
                with _turns[self.lane]:
                    result = job()
                future.set_result(result)
            except BaseException as error:
                future.set_exception(error)
            result = None
            del future, job, item  # keep no frame alive while waiting
