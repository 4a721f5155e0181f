using System.ComponentModel;
using System.Diagnostics;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>A file system in memory of a given size; needs the right to mount.</summary>
internal sealed class SmallDisk : IDisposable
{
    private SmallDisk(string path) => Path = path;

    internal string Path { get; }

    /// <summary>Skips the test by name where mounting is not allowed.</summary>
    internal static SmallDisk Mount(string path, int bytes)
    {
        Directory.CreateDirectory(path);
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", $"size={bytes}", "none", path), "mounting a small file system is not allowed here (needs root)");
        return new SmallDisk(path);
    }

    public void Dispose() => Run("umount", Path);

    private static bool Run(string command, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
