namespace Eigengate.ChatTemplates.Values;

/// <summary>A Python range; its length was bounded when it was made.</summary>
internal sealed class RangeValue(long start, long stop, long step, int count)
{
    public long Start => start;

    public long Stop => stop;

    public long Step => step;

    public int Count => count;

    public object? this[int index] => start + (step * index);
}
