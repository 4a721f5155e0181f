using Eigengate.ChatTemplates;

namespace Eigengate.ComputeNode.Generation;

/// <summary>
/// Marks the end of the last message through a rendering, so that whatever the template closes a turn with can be cut off
/// (<c>continue_final_message</c>).
/// </summary>
internal sealed class OpenEnd
{
    // Random, so that no client can write it.
    private readonly string _mark = $"end{Guid.NewGuid():N}";

    /// <summary>Appended to the message. The space tells whether the template trims.</summary>
    public string Text => _mark + " ";

    /// <exception cref="ChatTemplateException">The last message is not in the text.</exception>
    public string Cut(string rendered)
    {
        int end = rendered.LastIndexOf(_mark, StringComparison.Ordinal);
        if (end < 0)
            throw new ChatTemplateException("it does not show the last message, so that cannot be continued");
        bool trims = string.CompareOrdinal(rendered, end, Text, 0, Text.Length) != 0;
        return trims ? rendered[..end].TrimEnd() : rendered[..end];
    }
}
