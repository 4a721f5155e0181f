namespace Eigengate.Gateway.Routing;

/// <summary>Bytes of request bodies that may be held at once, over all requests.</summary>
internal sealed class BodyBudget(GatewayOptions options)
{
    private long _held;

    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _held, bytes) <= options.MaxBufferedBytes)
            return true;
        Return(bytes);
        return false;
    }

    public void Return(int bytes) => Interlocked.Add(ref _held, -bytes);
}
