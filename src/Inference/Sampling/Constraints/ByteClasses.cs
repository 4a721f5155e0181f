namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Bytes that no node of a grammar tells apart; tables of next states have one entry for each class instead of 256.</summary>
internal sealed class ByteClasses
{
    private readonly byte[] _classes = new byte[256];
    private readonly List<byte> _first = [0];

    public ByteClasses(IEnumerable<Grammar.Node> nodes)
    {
        var begins = new bool[257];
        foreach (var node in nodes)
        {
            if (node.Step != Grammar.Step.Byte)
                continue;
            begins[node.Low] = true;
            begins[node.High + 1] = true;
        }

        for (var value = 1; value < 256; value++)
        {
            if (begins[value])
                _first.Add((byte)value);
            _classes[value] = (byte)(_first.Count - 1);
        }
    }

    public int Count => _first.Count;

    public byte Of(byte value) => _classes[value];

    /// <summary>A byte of the class, standing for all of them.</summary>
    public byte First(int index) => _first[index];
}
