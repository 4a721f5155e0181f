using System.Runtime.InteropServices;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Storage;

/// <summary>
/// A tensor as it lies in a file. What is fitted is float32; what is served is what these bytes read back as, so errors are
/// measured against <see cref="Widen()"/>.
/// </summary>
/// <param name="DType">F32, BF16, F16, or I8 with a scale for each row.</param>
/// <param name="Shape">Row-major; one dimension is a single row.</param>
/// <param name="Bytes">Little-endian elements.</param>
/// <param name="RowScales">For I8: what a row's integers are multiplied by, [rows]; else null.</param>
internal sealed record StoredTensor(DType DType, long[] Shape, byte[] Bytes, float[]? RowScales = null)
{
    /// <summary>Behind a tensor's name: the name of its row scales.</summary>
    internal const string ScaleSuffix = ".scale";

    private const int LargestInteger = 127;

    /// <summary>How many numbers it stands for; scales are not counted.</summary>
    internal long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>Rounds to the nearest, ties to even. Values beyond the range of F16 are kept as F32 (spec/joint-diagonalization.md §9).</summary>
    internal static StoredTensor Of(float[] values, DType dtype, params long[] shape)
    {
        if (dtype == DType.I8)
            return Quantised(values, shape);
        if (dtype == DType.F16 && Array.Exists(values, v => Math.Abs(v) > (float)Half.MaxValue))
            dtype = DType.F32;
        byte[] bytes = new byte[values.Length * dtype.Size()];
        FloatConversion.Narrow(values, dtype, bytes);
        return new StoredTensor(dtype, shape, bytes);
    }

    /// <summary>The values that a reader gets.</summary>
    internal float[] Widen() => Widen(Bytes, DType, RowScales);

    internal void AddTo(SafetensorsWriter writer, string name)
    {
        writer.AddRaw(name, DType, Shape, Bytes);
        if (RowScales is not null)
            writer.Add(name + ScaleSuffix, RowScales, [RowScales.Length]);
    }

    /// <summary>Copies a tensor and its scales, as they are, from one file to another under a new name.</summary>
    /// <returns>Bytes added.</returns>
    internal static long Copy(SafetensorsFile source, string name, SafetensorsWriter target, string newName)
    {
        TensorEntry entry = source.Entry(name);
        target.AddRaw(newName, entry.DType, entry.Shape, source.Bytes(entry).ToArray());
        long bytes = entry.ByteLength;
        if (entry.DType == DType.I8)
            bytes += Copy(source, name + ScaleSuffix, target, newName + ScaleSuffix);
        return bytes;
    }

    /// <summary>Reads a tensor of floating-point numbers, or of integers with their row scales.</summary>
    /// <exception cref="SafetensorsException">Missing, of another type, or with scales that do not fit.</exception>
    internal static float[] Read(SafetensorsFile file, TensorEntry entry)
    {
        if (entry.DType != DType.I8)
            return file.ReadFloat32(entry.Name);
        float[] scales = file.ReadFloat32(entry.Name + ScaleSuffix);
        long rows = entry.Shape.Length < 2 ? 1 : entry.Shape[0];
        if (scales.Length != rows)
            throw new SafetensorsException(file.Source, $"tensor '{entry.Name}' has {rows} rows, but '{entry.Name}{ScaleSuffix}' holds {scales.Length} scales");
        return Widen(file.Bytes(entry), DType.I8, scales);
    }

    private static float[] Widen(ReadOnlySpan<byte> bytes, DType dtype, float[]? scales)
    {
        float[] values = new float[bytes.Length / dtype.Size()];
        if (dtype != DType.I8)
        {
            FloatConversion.TryWiden(bytes, dtype, values);
            return values;
        }

        ReadOnlySpan<sbyte> integers = MemoryMarshal.Cast<byte, sbyte>(bytes);
        int columns = values.Length / scales!.Length;
        for (int i = 0; i < values.Length; i++)
            values[i] = integers[i] * scales[i / columns];
        return values;
    }

    private static StoredTensor Quantised(float[] values, long[] shape)
    {
        int rows = shape.Length < 2 ? 1 : (int)shape[0], columns = values.Length / rows;
        float[] scales = new float[rows];
        byte[] integers = new byte[values.Length];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> source = values.AsSpan(row * columns, columns);
            float largest = 0;
            foreach (float value in source)
                largest = Math.Max(largest, Math.Abs(value));
            scales[row] = largest / LargestInteger;
            for (int i = 0; scales[row] > 0 && i < columns; i++)
                integers[(row * columns) + i] = (byte)(sbyte)Math.Clamp(MathF.Round(source[i] / scales[row]), -LargestInteger, LargestInteger);
        }

        return new StoredTensor(DType.I8, shape, integers, scales);
    }
}
