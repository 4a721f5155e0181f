using Eigengate.ChatTemplates;
using Eigengate.ComputeNode.Requests;

namespace Eigengate.ComputeNode.Generation;

/// <summary>
/// Which form of a message's content a template understands: one text, or parts as in
/// <c>[{"type": "text", "text": "…"}]</c>. Found by trying both, since no file says so.
/// </summary>
internal sealed record ContentForm(bool TakesText, bool TakesParts)
{
    private const string Probe = "content-probe";

    public static ContentForm Of(ChatTemplate template, IReadOnlyDictionary<string, string> specialTokens)
    {
        bool parts = Shows(PartsOf([Probe]));
        return new ContentForm(!parts || Shows(Probe), parts);

        bool Shows(object content)
        {
            Dictionary<string, object?> variables = specialTokens.ToDictionary(token => token.Key, token => (object?)token.Value);
            variables["messages"] = new[] { new Dictionary<string, object?> { ["role"] = "user", ["content"] = content } };
            variables["add_generation_prompt"] = false;
            try
            {
                string text = template.Render(variables);
                // A template that prints the list itself did not understand it.
                return text.Contains(Probe, StringComparison.Ordinal) && !text.Contains($"'{Probe}'", StringComparison.Ordinal) && !text.Contains($"\"{Probe}\"", StringComparison.Ordinal);
            }
            catch (Exception e) when (e is ChatTemplateException or ChatTemplateRejection)
            {
                return false;
            }
        }
    }

    /// <param name="message">As the client sent it.</param>
    /// <param name="ending">Appended to its text.</param>
    public object? ContentOf(ChatMessage message, string ending)
    {
        if (message.Parts is not { } parts)
            return null;
        bool asParts = TakesParts && (message.IsParts || !TakesText);
        return asParts ? PartsOf(parts.Select((text, i) => i == parts.Count - 1 ? text + ending : text)) : message.Text + ending;
    }

    private static Dictionary<string, object?>[] PartsOf(IEnumerable<string> texts) =>
        [.. texts.Select(text => new Dictionary<string, object?> { ["type"] = "text", ["text"] = text })];
}
