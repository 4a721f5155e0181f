namespace Eigengate.Inference.Sampling;

/// <summary>Buffers of one engine thread, reused for every sequence it samples.</summary>
internal sealed class SamplingScratch
{
    [ThreadStatic]
    private static SamplingScratch? _current;

    private float[] _logits = [];
    private float[] _masked = [];
    private float[] _weights = [];
    private int[] _ids = [];
    private ulong[] _sortKeys = [];

    public static SamplingScratch Current => _current ??= new SamplingScratch();

    /// <summary>Logits that the steps change in place.</summary>
    public Span<float> Logits(int count) => Sized(ref _logits, count);

    /// <summary>Logits after the structured-output mask and before any other step.</summary>
    public Span<float> Masked(int count) => Sized(ref _masked, count);

    public Span<float> Weights(int count) => Sized(ref _weights, count);

    public Span<int> Ids(int count) => Sized(ref _ids, count);

    public Span<ulong> SortKeys(int count) => Sized(ref _sortKeys, count);

    private static Span<T> Sized<T>(ref T[] buffer, int count)
    {
        if (buffer.Length < count)
            buffer = new T[count];
        return buffer.AsSpan(0, count);
    }
}
