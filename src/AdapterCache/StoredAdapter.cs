using System.Globalization;
using System.Text.Json;

namespace Eigengate.AdapterCache;

/// <summary>
/// An adapter as stored: <c>sequence created version json</c>. The three leading words let scripts compare and
/// keep them without parsing JSON.
/// </summary>
/// <param name="Sequence">Version of the index at the first registration of this id: gives the registration order.</param>
/// <param name="Record">The adapter.</param>
internal sealed record StoredAdapter(long Sequence, AdapterRecord Record)
{
    public static string Body(AdapterRecord record) =>
        JsonSerializer.Serialize(record with { Created = DateTimeOffset.UnixEpoch }, IndexJson.Default.AdapterRecord);

    /// <exception cref="InvalidDataException">The text was not written by an index of this format.</exception>
    public static StoredAdapter Parse(string text)
    {
        var words = text.Split(' ', 4);
        if (words.Length != 4
            || !long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            || !long.TryParse(words[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var created)
            || JsonSerializer.Deserialize(words[3], IndexJson.Default.AdapterRecord) is not { } record)
            throw new InvalidDataException("An adapter record in the index has another format.");
        return new StoredAdapter(sequence, record with { Created = DateTimeOffset.FromUnixTimeMilliseconds(created) });
    }
}
