using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Storage;

/// <summary>Writes whole files or nothing: to a temporary neighbour, flushed to the disk, then renamed.</summary>
internal static class DiskWriter
{
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    internal static void Save(SafetensorsWriter writer, string path) => Write(path, writer.DataBytes, writer.WriteTo);

    internal static void Save(byte[] bytes, string path) => Write(path, bytes.Length, stream => stream.Write(bytes));

    internal static void Copy(string source, string path) => Write(path, new FileInfo(source).Length, target =>
    {
        using FileStream stream = File.OpenRead(source);
        stream.CopyTo(target);
    });

    /// <exception cref="IOException">As the system says; a full disk with the path and the bytes needed.</exception>
    private static void Write(string path, long bytes, Action<Stream> content)
    {
        string temporary = path + ".tmp";
        try
        {
            using (FileStream stream = File.Create(temporary))
            {
                content(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (IOException e)
        {
            File.Delete(temporary);
            if (IsFull(e))
                throw new IOException($"the disk is full: '{path}' needs {bytes} bytes, and {FreeBytes(path)} are free", e);
            throw;
        }
    }

    /// <summary>On Unix an I/O exception carries the error number.</summary>
    private static bool IsFull(IOException e) => e.HResult is NoSpace or QuotaExceeded;

    private static string FreeBytes(string path)
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(path)!).AvailableFreeSpace.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return "an unknown number";
        }
    }
}
