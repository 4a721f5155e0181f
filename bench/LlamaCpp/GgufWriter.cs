using System.Runtime.InteropServices;
using System.Text;

namespace Eigengate.LlamaCpp;

/// <summary>Writes GGUF, version 3: the container of llama.cpp. Tensors are bfloat16 or float32, row-major.</summary>
internal sealed class GgufWriter
{
    private const int Alignment = 32;
    private readonly List<Action<BinaryWriter>> _metadata = [];
    private readonly List<(string Name, long[] Shape, TensorType Type, byte[] Bytes)> _tensors = [];

    private enum ValueType
    {
        UInt32 = 4,
        Int32 = 5,
        Float32 = 6,
        Text = 8,
        Array = 9,
    }

    private enum TensorType
    {
        Float32 = 0,
        BFloat16 = 30,
    }

    public GgufWriter Add(string key, string value) => Entry(key, ValueType.Text, file => Text(file, value));

    public GgufWriter Add(string key, int value) => Entry(key, ValueType.UInt32, file => file.Write((uint)value));

    public GgufWriter Add(string key, float value) => Entry(key, ValueType.Float32, file => file.Write(value));

    public GgufWriter Add(string key, IReadOnlyList<string> values) => Entry(key, ValueType.Array, file =>
    {
        Header(file, ValueType.Text, values.Count);
        foreach (string value in values)
            Text(file, value);
    });

    public GgufWriter Add(string key, float[] values) => Entry(key, ValueType.Array, file =>
    {
        Header(file, ValueType.Float32, values.Length);
        file.Write(MemoryMarshal.AsBytes(values.AsSpan()));
    });

    public GgufWriter Add(string key, int[] values) => Entry(key, ValueType.Array, file =>
    {
        Header(file, ValueType.Int32, values.Length);
        file.Write(MemoryMarshal.AsBytes(values.AsSpan()));
    });

    /// <param name="name">Name of the tensor.</param>
    /// <param name="shape">Outermost dimension first, unlike in the file.</param>
    /// <param name="bfloat16">Its numbers as stored.</param>
    public void Tensor(string name, long[] shape, byte[] bfloat16) => _tensors.Add((name, shape, TensorType.BFloat16, bfloat16));

    /// <inheritdoc cref="Tensor(string, long[], byte[])"/>
    public void Tensor(string name, long[] shape, float[] values) =>
        _tensors.Add((name, shape, TensorType.Float32, MemoryMarshal.AsBytes(values.AsSpan()).ToArray()));

    public void Save(string path)
    {
        using var file = new BinaryWriter(File.Create(path), Encoding.UTF8);
        file.Write("GGUF"u8);
        file.Write(3u);
        file.Write((ulong)_tensors.Count);
        file.Write((ulong)_metadata.Count);
        _metadata.ForEach(write => write(file));
        long offset = 0;
        foreach (var (name, shape, type, bytes) in _tensors)
        {
            Text(file, name);
            file.Write((uint)shape.Length);
            foreach (long dimension in shape.Reverse())
                file.Write((ulong)dimension);
            file.Write((uint)type);
            file.Write((ulong)offset);
            offset = Aligned(offset + bytes.Length);
        }

        foreach (var (_, _, _, bytes) in _tensors)
        {
            Pad(file);
            file.Write(bytes);
        }

        Pad(file);
    }

    private GgufWriter Entry(string key, ValueType type, Action<BinaryWriter> value)
    {
        _metadata.Add(file =>
        {
            Text(file, key);
            file.Write((uint)type);
            value(file);
        });
        return this;
    }

    private static void Header(BinaryWriter file, ValueType type, int count)
    {
        file.Write((uint)type);
        file.Write((ulong)count);
    }

    private static void Text(BinaryWriter file, string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        file.Write((ulong)bytes.Length);
        file.Write(bytes);
    }

    private static long Aligned(long offset) => (offset + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter file)
    {
        file.Flush();
        long at = file.BaseStream.Position;
        file.Write(new byte[Aligned(at) - at]);
    }
}
