using System.IO.MemoryMappedFiles;

namespace Eigengate.Safetensors;

/// <summary>
/// A safetensors container, read in place: a memory-mapped file, or bytes that came over the wire.
/// Tensor bytes are paged in only when touched. Thread-safe for reading.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile? _mapping;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly System.Buffers.MemoryHandle _pin;
    private readonly byte* _start;
    private readonly SafetensorsHeader _header;
    private bool _disposed;

    private SafetensorsFile(string source, MemoryMappedFile? mapping, ReadOnlyMemory<byte> memory, long length)
    {
        Source = source;
        try
        {
            if (mapping is not null)
            {
                _mapping = mapping;
                _view = mapping.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
                byte* start = null;
                _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
                _start = start;
            }
            else
            {
                _pin = memory.Pin();
                _start = (byte*)_pin.Pointer;
            }

            int prefix = (int)Math.Min(length, SafetensorsHeader.PrefixLength);
            int headerLength = SafetensorsHeader.ReadLength(new ReadOnlySpan<byte>(_start, prefix), length, source);
            byte[] json = new ReadOnlySpan<byte>(_start + SafetensorsHeader.PrefixLength, headerLength).ToArray();
            _header = SafetensorsHeader.Parse(json, length, source);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>File path, or the name given to <see cref="Parse"/>; used in error messages.</summary>
    public string Source { get; }

    public IReadOnlyDictionary<string, TensorEntry> Tensors => _header.Tensors;

    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <exception cref="SafetensorsException">The file is truncated or malformed.</exception>
    /// <exception cref="IOException">The file does not exist or cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        long length = new FileInfo(path).Length;
        if (length < SafetensorsHeader.PrefixLength)
            throw new SafetensorsException(path, $"the file has {length} bytes; a safetensors file starts with an 8-byte header length");
        return new SafetensorsFile(path, MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read), default, length);
    }

    /// <summary>Reads a container from memory without copying it; <paramref name="source"/> names it in errors.</summary>
    /// <exception cref="SafetensorsException">The bytes are truncated or malformed.</exception>
    public static SafetensorsFile Parse(ReadOnlyMemory<byte> bytes, string source) => new(source, null, bytes, bytes.Length);

    /// <exception cref="SafetensorsException">There is no tensor of that name.</exception>
    public TensorEntry Entry(string name) =>
        Tensors.TryGetValue(name, out TensorEntry? entry) ? entry : throw new SafetensorsException(Source, $"tensor '{name}' is missing");

    /// <summary>The tensor's bytes in place, valid until this object is disposed. Tensors of 2 GiB and more: use <see cref="Address"/>.</summary>
    public ReadOnlySpan<byte> Bytes(TensorEntry entry) => new((void*)Address(entry), checked((int)entry.ByteLength));

    /// <summary>Address of the tensor's first byte, valid until this object is disposed. Not necessarily aligned.</summary>
    public nint Address(TensorEntry entry)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return (nint)(_start + entry.Offset);
    }

    /// <summary>Widens a floating-point tensor (F64, F32, F16, BF16) to float32.</summary>
    /// <exception cref="SafetensorsException">Missing, or not a floating-point tensor.</exception>
    public float[] ReadFloat32(string name)
    {
        TensorEntry entry = Entry(name);
        float[] values = new float[entry.Count];
        ReadFloat32(entry, values);
        return values;
    }

    /// <inheritdoc cref="ReadFloat32(string)"/>
    public void ReadFloat32(TensorEntry entry, Span<float> destination)
    {
        if (!FloatConversion.TryWiden(Bytes(entry), entry.DType, destination))
            throw new SafetensorsException(Source, $"tensor '{entry.Name}' has dtype {entry.DType}; a floating-point tensor was expected");
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
        }

        _mapping?.Dispose();
        _pin.Dispose();
        GC.SuppressFinalize(this);
    }
}
