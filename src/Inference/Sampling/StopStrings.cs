namespace Eigengate.Inference.Sampling;

/// <summary>
/// Looks for stop strings in a growing text and gives out what can no longer begin one. The stop string that is
/// complete first wins, the longest of those that end at one place: how the text was cut into tokens does not matter.
/// </summary>
internal sealed class StopStrings(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>Adds text and returns the stop string that it completes, if any.</summary>
    /// <param name="text">New text.</param>
    /// <param name="match">False lets stop strings that end in this text pass.</param>
    /// <param name="keepStop">Give out the matched stop string too.</param>
    /// <param name="released">Text that can be shown; up to the match when there is one.</param>
    public string? Append(string text, bool match, bool keepStop, out string released)
    {
        var known = _held.Length;
        _held += text;
        for (var end = known + 1; match && end <= _held.Length; end++)
        {
            if (EndingAt(end) is not { } stop)
                continue;
            released = _held[..(keepStop ? end : end - stop.Length)];
            _held = "";
            return stop;
        }

        var kept = PossibleStart();
        released = _held[..^kept];
        _held = _held[^kept..];
        return null;
    }

    /// <summary>Gives out what is held back.</summary>
    public string Flush()
    {
        var rest = _held;
        _held = "";
        return rest;
    }

    private string? EndingAt(int end)
    {
        string? longest = null;
        foreach (var stop in stops)
        {
            if (stop.Length > (longest?.Length ?? 0) && _held.AsSpan(0, end).EndsWith(stop))
                longest = stop;
        }

        return longest;
    }

    /// <summary>Length of the longest end of the held text that begins some stop string.</summary>
    private int PossibleStart()
    {
        var longest = 0;
        foreach (var stop in stops)
        {
            for (var length = Math.Min(stop.Length - 1, _held.Length); length > longest; length--)
            {
                if (_held.AsSpan().EndsWith(stop.AsSpan(0, length)))
                    longest = length;
            }
        }

        return longest;
    }
}
