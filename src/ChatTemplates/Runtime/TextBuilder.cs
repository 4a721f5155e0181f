using System.Text;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>A string builder that pays for what it holds.</summary>
internal sealed class TextBuilder(RenderState state)
{
    private readonly StringBuilder _text = new();

    public int Length => _text.Length;

    public TextBuilder Append(ReadOnlySpan<char> text)
    {
        if (_text.Length + (long)text.Length > state.Options.MaxTextLength)
            throw state.Limit($"a text is longer than {state.Options.MaxTextLength} characters");
        state.Charge(1 + (text.Length / 4));
        _text.Append(text);
        return this;
    }

    public TextBuilder Append(char character) => Append([character]);

    public override string ToString() => _text.ToString();
}
