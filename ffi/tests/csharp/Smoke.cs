// What an engine in C# does from beginning to end without any peer, through the generated declarations.
using System;
using System.Runtime.InteropServices;
using Rayloom;

unsafe static class Smoke
{
    static int lines;
    // The library keeps the pointer: the delegate must live as long.
    static readonly Native.rayloom_log_set_callback_callback_delegate Log = (userdata, level, text) =>
    {
        if (Marshal.PtrToStringAnsi((IntPtr)text).Length > 0) lines++;
    };

    static string LastError() { return Marshal.PtrToStringAnsi((IntPtr)Native.rayloom_last_error()); }

    static void Expect(string what, int got, int expected)
    {
        if (got != expected) throw new Exception(what + " gave " + got + ", not " + expected + ": " + LastError());
    }

    static void Main()
    {
        Expect("log", Native.rayloom_log_set_callback(null, Native.RAYLOOM_LOG_TRACE, Log), Native.RAYLOOM_OK);
        rayloom_session* session;
        fixed (byte* url = System.Text.Encoding.UTF8.GetBytes("http://127.0.0.1:9\0"))
        {
            var peer = new rayloom_peer_address { url = url };
            var desc = new rayloom_session_desc
            {
                struct_type = Native.RAYLOOM_STRUCT_SESSION_DESC, struct_size = (uint)sizeof(rayloom_session_desc),
                header_version = Native.RAYLOOM_HEADER_VERSION, embedded = Native.RAYLOOM_EMBEDDED_NEVER,
                peers = &peer, peer_count = 1, max_frames_in_flight = 2, worker_threads = 2,
            };
            desc.struct_size -= 8;
            Expect("a short desc", Native.rayloom_session_create(&desc, &session), Native.RAYLOOM_UNKNOWN_STRUCT);
            if (!LastError().Contains("struct_size")) throw new Exception("the error says " + LastError());
            desc.struct_size += 8;
            Expect("session", Native.rayloom_session_create(&desc, &session), Native.RAYLOOM_OK);
        }
        var sceneDesc = new rayloom_scene_desc
        {
            struct_type = Native.RAYLOOM_STRUCT_SCENE_DESC, struct_size = (uint)sizeof(rayloom_scene_desc),
            convention = Native.RAYLOOM_CONVENTION_GLTF,
        };
        rayloom_scene* scene;
        Expect("scene", Native.rayloom_scene_create(session, &sceneDesc, &scene), Native.RAYLOOM_OK);
        ulong revision;
        Expect("commit", Native.rayloom_scene_commit(scene, &revision), Native.RAYLOOM_OK);
        var viewDesc = new rayloom_view_desc
        {
            struct_type = Native.RAYLOOM_STRUCT_VIEW_DESC, struct_size = (uint)sizeof(rayloom_view_desc),
            convention = Native.RAYLOOM_CONVENTION_GLTF, width = 64, height = 36, accumulation_frames = 24, tiles_per_peer_min = 1, tiles_per_peer_max = 2,
        };
        rayloom_view* view;
        Expect("view", Native.rayloom_view_create(session, &viewDesc, &view), Native.RAYLOOM_OK);
        var frameDesc = new rayloom_frame_desc
        {
            struct_type = Native.RAYLOOM_STRUCT_FRAME_DESC, struct_size = (uint)sizeof(rayloom_frame_desc),
            frame_id = 1, revision = revision, exposure = 1, pre_exposure = 1,
        };
        Expect("camera", Native.rayloom_scene_default_camera(scene, 64f / 36f, &frameDesc.camera), Native.RAYLOOM_OK);
        Expect("frame", Native.rayloom_frame_begin(view, &frameDesc, null), Native.RAYLOOM_OK);
        rayloom_output* output;
        Expect("acquire", Native.rayloom_view_acquire(view, 1, 20000000000, &output), Native.RAYLOOM_OK);
        var info = new rayloom_output_info
        {
            struct_type = Native.RAYLOOM_STRUCT_OUTPUT_INFO, struct_size = (uint)sizeof(rayloom_output_info),
        };
        Expect("describe", Native.rayloom_output_describe(output, &info), Native.RAYLOOM_OK);
        if (info.frame_id != 1 || info.width != 64 || info.height != 36) throw new Exception("the output is of another frame");
        Expect("release", Native.rayloom_output_release(output), Native.RAYLOOM_OK);
        Expect("again", Native.rayloom_output_release(output), Native.RAYLOOM_INVALID_HANDLE);
        var anEvent = new rayloom_event { struct_type = Native.RAYLOOM_STRUCT_EVENT, struct_size = (uint)sizeof(rayloom_event) };
        var told = Native.rayloom_session_poll_event(session, &anEvent);
        if (told == Native.RAYLOOM_OK && Marshal.PtrToStringAnsi((IntPtr)anEvent.text).Length == 0) throw new Exception("no text");
        Expect("destroy", Native.rayloom_session_destroy(session), Native.RAYLOOM_OK);
        Expect("no log", Native.rayloom_log_set_callback(null, Native.RAYLOOM_LOG_ERROR, null), Native.RAYLOOM_OK);
        if (lines == 0) throw new Exception("nothing was logged");
        Console.WriteLine("an engine in C# ran");
    }
}
