namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Turns offsets of the newline-normalised source into positions.</summary>
internal sealed class SourceMap
{
    private readonly List<int> _lineStarts = [0];

    public SourceMap(string source)
    {
        for (int i = 0; i < source.Length; i++)
        {
            if (source[i] == '\n')
                _lineStarts.Add(i + 1);
        }
    }

    public Position At(int offset)
    {
        int index = _lineStarts.BinarySearch(offset);
        if (index < 0)
            index = ~index - 1;
        return new Position(index + 1, offset - _lineStarts[index] + 1);
    }
}
