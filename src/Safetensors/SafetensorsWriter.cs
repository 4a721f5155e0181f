using System.Buffers.Binary;
using System.Text.Json;

namespace Eigengate.Safetensors;

/// <summary>
/// Collects tensors and writes one safetensors container. The bytes depend only on the tensors and metadata:
/// tensors are laid out in ordinal order of their names.
/// </summary>
public sealed class SafetensorsWriter
{
    private readonly SortedDictionary<string, (DType DType, long[] Shape, byte[] Bytes)> _tensors = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _metadata = new(StringComparer.Ordinal);

    /// <summary>Bytes of all tensors added so far; the file has a header besides.</summary>
    public long DataBytes { get; private set; }

    public SafetensorsWriter Metadata(string key, string value)
    {
        _metadata[key] = value;
        return this;
    }

    /// <summary>Adds a float32 array stored as <paramref name="dtype"/> (F32, BF16 or F16), row-major.</summary>
    public SafetensorsWriter Add(string name, ReadOnlySpan<float> values, ReadOnlySpan<long> shape, DType dtype = DType.F32)
    {
        byte[] bytes = new byte[values.Length * dtype.Size()];
        FloatConversion.Narrow(values, dtype, bytes);
        return AddRaw(name, dtype, shape, bytes);
    }

    /// <summary>Adds little-endian bytes as they are.</summary>
    public SafetensorsWriter AddRaw(string name, DType dtype, ReadOnlySpan<long> shape, byte[] bytes)
    {
        long count = 1;
        foreach (long dimension in shape)
            count *= dimension;
        if (count * dtype.Size() != bytes.Length)
            throw new ArgumentException($"tensor '{name}': {bytes.Length} bytes do not fill shape [{string.Join(", ", shape.ToArray())}] of {dtype}");
        _tensors.Add(name, (dtype, shape.ToArray(), bytes));
        DataBytes += bytes.Length;
        return this;
    }

    public byte[] ToArray()
    {
        using var stream = new MemoryStream();
        WriteTo(stream);
        return stream.ToArray();
    }

    public void WriteTo(Stream stream)
    {
        byte[] header = Header();
        Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixLength];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
        foreach (var (_, _, bytes) in _tensors.Values)
            stream.Write(bytes);
    }

    /// <summary>Writes to a temporary neighbour and renames it, so that a reader never sees half a file.</summary>
    public void Save(string path)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = File.Create(temporary))
                WriteTo(stream);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private byte[] Header()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (_metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in _metadata)
                    json.WriteString(key, value);
                json.WriteEndObject();
            }

            long offset = 0;
            foreach (var (name, (dtype, shape, bytes)) in _tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", dtype.ToFileName());
                json.WriteStartArray("shape");
                foreach (long dimension in shape)
                    json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += bytes.Length);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Pad with spaces so that the data starts on an 8-byte boundary, as the reference implementation does.
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }
}
