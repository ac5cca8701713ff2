"""Builds a process's runtime out of its settings, and gives lower areas the ports they ask for.

It is shared by the three composition roots and starts nothing: no thread, no connection.
"""

import os

from redis import Redis

from contact.channels.sms import AliyunSms
from contact.channels.wechat import WeChatClient
from contact.ports import Holds, SmsProvider, Standing, StillDue, WeChatApi
from kernel.clock import Clock, MovableClock, SystemClock
from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.runtime import Runtime
from kernel.settings import Settings
